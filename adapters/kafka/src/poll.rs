//! The thread that polls. Whatever of the client blocks happens here: joining, rebalancing,
//! committing, leaving. It polls always, however slow the handlers are, so that no member is put out
//! of its group for that (`max.poll.interval.ms`).

use std::{
    sync::{Arc, OnceLock, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::Message as _,
};
use steadfast::broker::{BrokerError, Subscription};

use crate::{
    config::Config,
    convert::Record,
    error::{of_session, of_session_again},
    look,
    rebalance::Membership,
    state::{Shared, State},
};

type Member = Arc<BaseConsumer<Membership>>;

/// Longest time between two looks at what is to be done beside polling.
const TICK: Duration = Duration::from_millis(50);

/// How long a broker that cannot be reached has to answer before the session ends.
const PROBE: Duration = Duration::from_secs(5);

/// How long the last commits may take, when the group is busy with a rebalance.
const LEAVE: Duration = Duration::from_secs(10);

/// How long to wait for an assignment until the group's coordinator is asked whether it is there. Who comes
/// into a group that is busy gets it later.
const JOIN: Duration = Duration::from_secs(5);

/// Joins the group. Blocks until there is an assignment, or for a while.
pub(crate) fn start(
    config: &Config,
    subscription: &Subscription,
    partitions: usize,
    shared: Arc<Shared>,
) -> Result<(), BrokerError> {
    let membership = Membership {
        shared: Arc::clone(&shared),
        start: config.start,
        revoke_wait: config.revoke_wait,
        me: OnceLock::new(),
    };
    let settings = config.member(subscription, partitions);
    let member: Member = Arc::new(config.create(&settings, membership)?);
    // The client's context is the session's own; there is one member in it.
    let _ = member.context().me.set(Arc::downgrade(&member));
    let tiers = shared.tiers.iter().map(|tier| tier.topic.as_str());
    let topics: Vec<&str> = std::iter::once(shared.source.as_str()).chain(tiers).collect();
    member.subscribe(&topics).map_err(of_session)?;
    let config = config.clone();
    let thread = thread::Builder::new().name("steadfast-kafka".into());
    let joined = Arc::clone(&shared);
    let run = move || {
        let _closed = Closed(Arc::clone(&shared));
        poll(member, &shared, &config);
    };
    thread.spawn(run).map_err(BrokerError::unavailable)?;
    joined.wait_until_joined(JOIN + 2 * PROBE);
    let state = joined.state();
    state.error()
}

fn poll(member: Member, shared: &Shared, config: &Config) {
    let mut last_commit = Instant::now();
    let mut probe: Option<JoinHandle<()>> = None;
    let mut inside = Instant::now();
    while !shared.state().closing {
        match member.poll(TICK) {
            None => {}
            Some(Err(error)) => shared.trouble(unwrapped(&member, error)),
            // Records come through the queues of their partitions. One that does not keeps its place.
            Some(Ok(record)) => shared.update(|state| {
                let epoch = state.epoch_of(record.topic(), record.partition());
                if let Some(partition) = epoch.and_then(|epoch| state.partitions.get_mut(&epoch)) {
                    partition.adopt(Record::copy(&record));
                }
            }),
        }
        if shared.state().joined {
            inside = Instant::now();
        }
        if probe.as_ref().is_none_or(JoinHandle::is_finished) {
            probe = if inside.elapsed() > JOIN {
                inside = Instant::now();
                ask_coordinator(config, &member)
            } else {
                probe_if_needed(&member, shared)
            };
        }
        // While it is not known whether the broker is there, a commit would only wait for it.
        if probe.is_none() && last_commit.elapsed() >= config.commit_interval {
            member.context().begin_commit(None);
            last_commit = Instant::now();
        }
        let committing = shared.state().committing;
        if let Some(since) = committing {
            shared.end_if_cut_off(since);
        }
    }
    last_commits(&member, shared);
    // Nothing of the client may outlive it: its queues first, then itself, here and not elsewhere.
    let partitions = shared.update(|state| std::mem::take(&mut state.partitions));
    partitions.values().for_each(|partition| partition.cancel());
    let names = partitions.values().map(|partition| (&*partition.topic, partition.number));
    shared.lag.forget(&shared.group, names);
    drop(partitions);
    if let Some(probe) = probe {
        let _ = probe.join();
    }
    // A commit that still waits has the client too, and is let go by its end.
    if !shared.wait_until_not_committing(Duration::ZERO) {
        let _ = member.close_queue();
    }
    drop(member);
}

/// Commits what is settled before the member leaves. A group in the middle of a rebalance refuses
/// commits until it is through. A broker that is away takes none, and is not waited for.
fn last_commits(member: &Member, shared: &Shared) {
    let deadline = Instant::now() + LEAVE;
    let leaves = |state: &State| state.has_ended() || state.is_committed();
    while !leaves(&shared.state()) && Instant::now() < deadline {
        member.context().begin_commit(None);
        // A rebalance goes on only while somebody polls.
        if let Some(Err(error)) = member.poll(TICK) {
            shared.trouble(unwrapped(member, error));
        }
    }
}

/// The client says of what ends it for good only that it is fatal.
fn unwrapped(member: &Member, error: KafkaError) -> KafkaError {
    match error.rdkafka_error_code() {
        Some(Code::Fatal) => match member.client().fatal_error() {
            Some((code, _)) => KafkaError::MessageConsumptionFatal(code),
            None => error,
        },
        _ => error,
    }
}

/// Asks a broker that seems to be gone. The client finds back by itself after a short cut; after a
/// longer one the session ends, and the consumer says that it is not ready.
fn probe_if_needed(member: &Member, shared: &Shared) -> Option<JoinHandle<()>> {
    if !shared.unreachable.swap(false, Ordering::Relaxed) {
        return None;
    }
    let member = Arc::clone(member);
    let look = move || {
        let shared = &member.context().shared;
        let answer = member.fetch_metadata(Some(&shared.source), PROBE);
        if let Err(error) = answer {
            shared.end(of_session_again(error));
        }
    };
    thread::Builder::new().name("steadfast-kafka-probe".into()).spawn(look).ok()
}

/// Asks the coordinator of a group that lets nobody in. The client says nothing of one that cannot be found, and
/// the member would wait for ever, and be ready.
fn ask_coordinator(config: &Config, member: &Member) -> Option<JoinHandle<()>> {
    let (config, shared) = (config.clone(), Arc::clone(&member.context().shared));
    let look = move || match look::coordinator(&config, &shared.group, &shared.source, PROBE) {
        Ok(()) => shared.update(|state| state.coordinated = true),
        Err(error) => shared.end(error),
    };
    thread::Builder::new().name("steadfast-kafka-coordinator".into()).spawn(look).ok()
}

/// Says that the thread has ended, also when it panics.
struct Closed(Arc<Shared>);

impl Drop for Closed {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end(BrokerError::unavailable("the polling thread has panicked"));
        }
        self.0.update(|state| {
            state.closing = true;
            state.closed = true;
        });
    }
}
