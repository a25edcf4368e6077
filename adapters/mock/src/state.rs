//! Everything the broker knows, behind one lock and one bell.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use rand::{SeedableRng, rngs::StdRng};
use steadfast::{
    Cancellation, Cancelled, Message,
    broker::{BrokerError, Subscription},
};
use tokio::{sync::Notify, time::Instant};

use crate::{
    Point,
    clock::Clock,
    config::Config,
    crash::Crash,
    faults::Plan,
    queue::{GroupQueue, Load, Time},
    topic::Topic,
};

pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) changed: Arc<Notify>,
    pub(crate) crash: Crash<Point>,
    pub(crate) clock: Clock,
    epoch: Instant,
    /// For showing only; no decision is taken by it.
    wall: SystemTime,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new()),
            changed: Arc::default(),
            crash: Crash::default(),
            clock: Clock::default(),
            epoch: Instant::now(),
            wall: SystemTime::now(),
        })
    }

    /// Looks at the state as it is now, or changes it in a way that nobody waits for.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State, Time) -> R) -> R {
        let now = self.epoch.elapsed();
        let mut state = self.lock();
        let changed = state.advance(now);
        let result = act(&mut state, now);
        drop(state);
        if changed {
            self.changed.notify_waiters();
        }
        result
    }

    /// Changes the state, and wakes who waits for a change.
    pub(crate) fn update<R>(&self, act: impl FnOnce(&mut State, Time) -> R) -> R {
        let result = self.with(act);
        self.changed.notify_waiters();
        result
    }

    pub(crate) fn instant(&self, time: Time) -> Option<Instant> {
        self.epoch.checked_add(time)
    }

    pub(crate) fn wall(&self, time: Time) -> SystemTime {
        self.wall + time
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) plan: Plan,
    pub(crate) rng: StdRng,
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) sessions: BTreeMap<u64, Session>,
    /// By tag, the cancellations of what is handed out.
    pub(crate) tokens: BTreeMap<u64, Cancellation>,
    /// Consumers that were started and have ended with an error.
    pub(crate) complaints: Vec<String>,
    next_session: u64,
    next_tag: u64,
    next_id: u64,
}

/// One life of a subscription.
pub(crate) struct Session {
    pub(crate) topic: String,
    pub(crate) group: String,
    pub(crate) bound: Load,
    pub(crate) stopping: bool,
}

impl State {
    fn new() -> Self {
        Self {
            config: Config::default(),
            plan: Plan::default(),
            rng: StdRng::seed_from_u64(0),
            topics: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            complaints: Vec::new(),
            next_session: 1,
            next_tag: 1,
            next_id: 1,
        }
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.next_session == 1 && self.next_id == 1
    }

    /// Lets holds run out and delays end. Says whether anything has changed.
    fn advance(&mut self, now: Time) -> bool {
        let mut changed = false;
        for queue in self.topics.values_mut().flat_map(|topic| topic.groups.values_mut()) {
            if queue.next_due().is_none_or(|due| due > now) {
                continue;
            }
            changed = true;
            for tag in queue.advance(now) {
                if let Some(token) = self.tokens.remove(&tag) {
                    token.trip(Cancelled::Revoked);
                }
            }
        }
        changed
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        let queues = self.topics.values().flat_map(|topic| topic.groups.values());
        queues.filter_map(GroupQueue::next_due).min()
    }

    /// Opens a session on a topic, which comes into being if topics do so by themselves.
    pub(crate) fn open(&mut self, subscription: &Subscription) -> Result<u64, BrokerError> {
        let (name, group) = (subscription.source.clone(), subscription.group.clone());
        let config = self.config.clone();
        let topic = self.topic(&name).ok_or_else(|| BrokerError::Misconfigured(missing(&name)))?;
        topic.group(&group, &config);
        let number = self.next_session;
        self.next_session += 1;
        let bound = Load { messages: subscription.max_messages, bytes: subscription.max_bytes };
        self.sessions.insert(number, Session { topic: name, group, bound, stopping: false });
        Ok(number)
    }

    /// Ends a session as a lost connection does: the tokens of its deliveries are not tripped.
    pub(crate) fn end(&mut self, number: u64) {
        let stale = self.queue(number).map(|(_, queue)| queue.end(number));
        for tag in stale.unwrap_or_default() {
            self.tokens.remove(&tag);
        }
        self.sessions.remove(&number);
    }

    /// An open session and the queue that it reads.
    pub(crate) fn queue(&mut self, number: u64) -> Option<(&Session, &mut GroupQueue)> {
        let session = self.sessions.get(&number)?;
        let topic = self.topics.get_mut(&session.topic)?;
        Some((session, topic.groups.get_mut(&session.group)?))
    }

    /// Publishes and returns the id; `None` where there is no such topic.
    pub(crate) fn publish(
        &mut self,
        topic: &str,
        id: Option<String>,
        message: Message,
        now: Time,
    ) -> Option<String> {
        let id = id.unwrap_or_else(|| self.new_id());
        let forgets = self.config.forgets_settled;
        self.topic(topic)?.publish(message, id.clone(), now, forgets);
        Some(id)
    }

    /// The topic, which comes into being if topics do so by themselves.
    pub(crate) fn topic(&mut self, name: &str) -> Option<&mut Topic> {
        if !self.config.strict_topics && !self.topics.contains_key(name) {
            self.create_topic(name);
        }
        self.topics.get_mut(name)
    }

    pub(crate) fn create_topic(&mut self, name: &str) {
        self.topics.entry(name.to_owned()).or_insert_with(|| Topic::new(name));
    }

    pub(crate) fn new_id(&mut self) -> String {
        self.next_id += 1;
        format!("m-{}", self.next_id - 1)
    }

    pub(crate) fn new_tag(&mut self) -> u64 {
        self.next_tag += 1;
        self.next_tag - 1
    }
}

/// What is said of a topic that does not exist.
pub(crate) fn missing(topic: &str) -> String {
    format!("there is no topic `{topic}`: create it with `MockBroker::create_topic(\"{topic}\")`")
}
