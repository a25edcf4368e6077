//! What a session knows, shared by its receivers, its settler and the thread that polls.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use steadfast::{
    Delivery, Receipt,
    broker::{BrokerError, Demand, SettleError, Subscription},
};
use tokio::sync::Notify;

use crate::{
    config::Config,
    error::{is_of_credentials, is_permanent, of_session},
    lag::{Lag, Seen},
    partition::{Bounds, Next, Partition},
    positions::LostPositions,
    retry_topics::Tier,
};

/// The state of a session, and how to wait for its changes.
pub(crate) struct Shared {
    pub(crate) group: String,
    pub(crate) source: String,
    pub(crate) tiers: Vec<Tier>,
    pub(crate) max_unsettled: usize,
    max_in_flight: usize,
    pub(crate) lost_positions: LostPositions,
    pub(crate) lag: Lag,
    /// Whether what is not committed by its producer is delivered too.
    pub(crate) reads_uncommitted: bool,
    /// The client cannot reach any broker: somebody should look. Apart from the state, because the
    /// client says so to whoever polls, and some poll under its lock.
    pub(crate) unreachable: AtomicBool,
    state: Mutex<State>,
    /// Something is to be received, or the session has ended.
    pub(crate) changed: Notify,
    /// Something held was settled: for the thread that gives partitions away.
    settled: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    /// By epoch.
    pub(crate) partitions: BTreeMap<u64, Partition>,
    /// Where the next receive begins, so that no partition starves.
    turn: u64,
    next_tag: u64,
    /// Whether the group has given this member an assignment, be it an empty one.
    pub(crate) joined: bool,
    /// Whether the group's coordinator has answered while this member was outside.
    pub(crate) coordinated: bool,
    pub(crate) stopped: bool,
    pub(crate) closing: bool,
    pub(crate) closed: bool,
    ended: Option<Ended>,
    /// Since when a commit is under way.
    pub(crate) committing: Option<Instant>,
    pub(crate) commits_fail_since: Option<Instant>,
    pub(crate) seen: Vec<Seen>,
}

/// Why a session has ended.
#[derive(Debug, Clone)]
enum Ended {
    Misconfigured(String),
    Unavailable(String),
}

/// What a receive comes to.
pub(crate) struct Taken {
    pub(crate) deliveries: Vec<Delivery>,
    /// When the first record that waits is due.
    pub(crate) due: Option<SystemTime>,
}

/// What the client has said of one partition, and where it stood.
struct Trouble {
    topic: Arc<str>,
    partition: i32,
    offset: i64,
    error: KafkaError,
}

impl Shared {
    pub(crate) fn new(
        subscription: &Subscription,
        tiers: Vec<Tier>,
        config: &Config,
        (lost_positions, lag): (LostPositions, Lag),
    ) -> Self {
        Self {
            group: subscription.group.clone(),
            source: subscription.source.clone(),
            tiers,
            max_unsettled: config.max_unsettled,
            max_in_flight: subscription.max_messages,
            lost_positions,
            lag,
            reads_uncommitted: config.reads_uncommitted(),
            unreachable: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Notify::new(),
            settled: Condvar::new(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes whoever waits.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.notify_waiters();
        self.settled.notify_all();
        changed
    }

    /// Ends the session. The first reason stands.
    pub(crate) fn end(&self, error: BrokerError) {
        self.update(|state| {
            let ended = match error {
                BrokerError::Misconfigured(words) => Ended::Misconfigured(words),
                BrokerError::Unavailable(error) => Ended::Unavailable(error.to_string()),
                error => Ended::Unavailable(error.to_string()),
            };
            state.ended.get_or_insert(ended);
        });
    }

    /// What a client's error means for the session. Many pass by themselves.
    pub(crate) fn trouble(&self, error: KafkaError) {
        // Of partitions whose queue is gone.
        if matches!(error, KafkaError::PartitionEOF(_)) {
            return;
        }
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        match error.rdkafka_error_code() {
            // Another broker may be there, or this one again: the probe finds out.
            _ if !fatal && is_of_credentials(&error) => {
                tracing::error!(%error, "a broker refuses the credentials, or has cut a connection");
                self.unreachable.store(true, Ordering::Relaxed);
            }
            _ if fatal || is_permanent(&error) => self.end(of_session(error)),
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
                self.end(BrokerError::unavailable(error));
            }
            Some(Code::AllBrokersDown) => self.unreachable.store(true, Ordering::Relaxed),
            Some(Code::PollExceeded) => tracing::error!(
                "the group has put this member out, because it did not poll in time: it joins again"
            ),
            _ => tracing::warn!(%error, "the client reports"),
        }
    }

    /// What can be handed out now.
    pub(crate) fn take(&self, demand: Demand) -> Result<Taken, BrokerError> {
        let mut troubles = Vec::new();
        let taken = {
            let mut state = self.state();
            state.error()?;
            if state.stopped { Taken::nothing() } else { state.take(demand, self, &mut troubles) }
        };
        for Trouble { topic, partition, offset, error } in troubles {
            let words = match error.rdkafka_error_code() {
                Some(Code::AutoOffsetReset) => {
                    self.lost_positions.note(&self.group, &topic, partition, offset);
                    format!(
                        "the committed position of {topic}-{partition} no longer exists: beginning anew"
                    )
                }
                // The client goes on behind it, and what is in it would pass for a hole.
                Some(Code::BadMessage | Code::NotImplemented) => {
                    format!("a batch of {topic}-{partition} cannot be read ({error}): asking again")
                }
                _ => {
                    tracing::warn!(%topic, partition, offset, %error, "a partition is in trouble");
                    self.trouble(error);
                    continue;
                }
            };
            tracing::error!(%topic, partition, offset, "{words}");
            self.end(BrokerError::unavailable(words));
        }
        Ok(taken)
    }

    /// Waits until none of these partitions holds anything, at most so long. For the polling thread.
    pub(crate) fn wait_until_settled(&self, epochs: &[u64], limit: Duration) {
        let unsettled = |state: &mut State| {
            let held = |epoch| state.partitions.get(epoch).is_some_and(|one| !one.holds_nothing());
            epochs.iter().any(held)
        };
        let _ = self.settled.wait_timeout_while(self.state(), limit, unsettled);
    }

    /// Waits until no commit is under way, at most so long; whether that is so.
    pub(crate) fn wait_until_not_committing(&self, limit: Duration) -> bool {
        let committing = |state: &mut State| state.committing.is_some();
        let waited = self.settled.wait_timeout_while(self.state(), limit, committing);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits until the group has taken this member in, or is known to be busy, at most so long.
    pub(crate) fn wait_until_joined(&self, limit: Duration) {
        let joining =
            |state: &mut State| !state.joined && !state.coordinated && state.error().is_ok();
        let _ = self.settled.wait_timeout_while(self.state(), limit, joining);
    }
}

impl State {
    /// Why there is nothing more to come, if so.
    pub(crate) fn error(&self) -> Result<(), BrokerError> {
        match &self.ended {
            Some(Ended::Misconfigured(words)) => Err(BrokerError::Misconfigured(words.clone())),
            Some(Ended::Unavailable(words)) => Err(BrokerError::unavailable(words.clone())),
            None if self.closing => Err(BrokerError::unavailable("the session is closed")),
            None => Ok(()),
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    fn take(&mut self, demand: Demand, shared: &Shared, troubles: &mut Vec<Trouble>) -> Taken {
        let (now, bounds) = (SystemTime::now(), self.bounds(shared));
        let mut taken = Taken::nothing();
        let mut bytes = 0;
        let full = |count: usize, bytes| count >= demand.messages || bytes >= demand.bytes;
        let (before, from_here): (Vec<u64>, Vec<u64>) =
            self.partitions.keys().partition(|epoch| **epoch <= self.turn);
        for epoch in from_here.into_iter().chain(before) {
            let Some(partition) = self.partitions.get_mut(&epoch) else { continue };
            while !full(taken.deliveries.len(), bytes) {
                match partition.next(bounds, now) {
                    Next::Record(record) => {
                        bytes += record.message.size();
                        self.next_tag += 1;
                        taken.deliveries.push(partition.hand_out(record, self.next_tag));
                        self.turn = epoch;
                    }
                    Next::NotBefore(due) => {
                        taken.due = Some(taken.due.map_or(due, |other| other.min(due)));
                        break;
                    }
                    Next::Nothing => break,
                    Next::Trouble(error) => {
                        troubles.push(Trouble {
                            topic: Arc::clone(&partition.topic),
                            partition: partition.number,
                            offset: partition.next_offset(),
                            error,
                        });
                        break;
                    }
                }
            }
        }
        taken
    }

    /// Of several partitions each leaves half of the room to the others: one whose messages are slow must
    /// not stop them all.
    pub(crate) fn bounds(&self, shared: &Shared) -> Bounds {
        let sources = self.partitions.values().filter(|partition| partition.delay.is_none());
        let held = match sources.count() {
            0 | 1 => usize::MAX,
            _ => shared.max_in_flight.div_ceil(2),
        };
        Bounds { span: shared.max_unsettled, held }
    }

    /// The partition that a receipt belongs to, if it still holds it.
    pub(crate) fn holder(&mut self, receipt: Receipt) -> Result<&mut Partition, SettleError> {
        let partition = self.partitions.get_mut(&receipt.epoch).ok_or(SettleError::Stale)?;
        if partition.holds(receipt.tag) { Ok(partition) } else { Err(SettleError::Stale) }
    }

    /// Notes what was committed.
    pub(crate) fn committed(&mut self, offsets: &[(u64, i64)]) {
        (self.committing, self.commits_fail_since) = (None, None);
        for (epoch, offset) in offsets {
            if let Some(partition) = self.partitions.get_mut(epoch) {
                partition.watermark.committed(*offset);
            }
        }
    }

    /// Whether the broker has been told of everything that is settled.
    pub(crate) fn is_committed(&self) -> bool {
        self.partitions.values().all(|partition| partition.watermark.uncommitted().is_none())
    }

    /// The epoch of the partition of this name.
    pub(crate) fn epoch_of(&self, topic: &str, number: i32) -> Option<u64> {
        let is_it = |one: &&Partition| &*one.topic == topic && one.number == number;
        self.partitions.values().find(is_it).map(|partition| partition.epoch)
    }
}

impl Taken {
    fn nothing() -> Self {
        Self { deliveries: Vec::new(), due: None }
    }
}

/// A number that no assignment of this process had before.
pub(crate) fn new_epoch() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
