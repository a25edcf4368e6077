//! What one worker of a round is to do.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use steadfast::{
    Message,
    store::{Key, RecordId, Scope},
};

use crate::{Fault, Poison};

/// What one worker of a round is to do. It travels on the worker's command line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The URL of PostgreSQL.
    pub store: String,
    /// The schema of the round: records and ledger.
    pub schema: String,
    /// The topic or queue; without one it is named after the schema.
    pub topic: Option<String>,
    /// The address of the broker; `mock` is the one in the worker's own memory.
    pub broker: String,
    /// How handlers write their effects.
    pub mode: Mode,
    /// How many messages the round has, numbered from 0.
    pub messages: u32,
    /// How many handlers run at once in each worker.
    pub concurrency: usize,
    /// The policy's bound. Whoever is killed beside another's fault has lost an attempt too.
    pub max_attempts: u32,
    /// How long a claim is held without a sign of life.
    pub lease: Duration,
    /// Whether messages of one key are consumed in their order.
    pub ordered: bool,
    /// The messages that no attempt can end well.
    pub poison: BTreeMap<u32, Poison>,
    /// Which of the round's workers this is.
    pub worker: u32,
    /// What happens to it by its own hand.
    pub fault: Option<Fault>,
    /// Decides how long handlers take.
    pub seed: u64,
}

/// How handlers write their effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// In the transaction that the store lends.
    Transactional,
    /// At once, on a connection of their own.
    Leased,
}

/// The body of a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) number: u32,
}

impl Plan {
    /// A small round on the broker of this address.
    #[must_use]
    pub fn new(store: &str, broker: &str) -> Self {
        Self {
            store: store.to_owned(),
            schema: String::new(),
            topic: None,
            broker: broker.to_owned(),
            mode: Mode::Transactional,
            messages: 40,
            concurrency: 4,
            max_attempts: 1000,
            lease: Duration::from_secs(1),
            ordered: false,
            poison: BTreeMap::new(),
            worker: 0,
            fault: None,
            seed: 0,
        }
    }

    /// The same in this mode.
    #[must_use]
    pub fn mode(&self, mode: Mode) -> Self {
        Self { mode, ..self.clone() }
    }

    /// The topic or queue of the round.
    #[must_use]
    pub fn topic(&self) -> String {
        self.topic.clone().unwrap_or_else(|| format!("crash.{}", self.schema))
    }

    /// Where the round's dead letters go.
    #[must_use]
    pub fn dead_letters(&self) -> String {
        format!("{}.dead", self.topic())
    }

    /// The group of the workers.
    #[must_use]
    pub fn group(&self) -> String {
        format!("workers.{}", self.schema)
    }

    /// Whether a retry waits in the broker, where it can, and not in its worker.
    pub(crate) fn retries_leave(&self) -> bool {
        self.seed & 0b1000 != 0
    }

    /// The same, with messages of few keys, consumed in their order.
    #[must_use]
    pub fn ordered(&self) -> Self {
        Self { ordered: true, ..self.clone() }
    }

    /// A message of the round, with a key by which brokers spread and order them, and with headers that
    /// a careless copy would lose.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn message(&self, number: u32) -> Message {
        let mut task = serde_json::to_vec(&Task { number }).expect("a number is JSON");
        if self.poison.get(&number) == Some(&Poison::Garbage) {
            task = vec![b'{', 0, 0xff, 0xfe];
        }
        let mut message = Message::new(task).with_key(self.lane(number));
        message.headers.append(NUMBER, number.to_string());
        message.headers.append("twice", "first");
        message.headers.append("twice", vec![0, 0xff]);
        message
    }

    /// The key of a message: one of few where order is asked for.
    pub(crate) fn lane(&self, number: u32) -> String {
        const LANES: u32 = 6;
        match self.ordered {
            true => format!("lane-{}", number % LANES),
            false => Self::key(number),
        }
    }

    /// Whether a message ends in a record: what cannot be decoded has no key for one.
    pub(crate) fn has_record(&self, number: u32) -> bool {
        self.poison.get(&number) != Some(&Poison::Garbage)
    }

    /// The dedup key of a message.
    #[must_use]
    pub fn key(number: u32) -> String {
        format!("m-{number}")
    }

    /// The record of a message.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn record(&self, number: u32) -> RecordId {
        let scope = Scope::new(Self::CONSUMER, &self.group(), 0).expect("the names are good");
        RecordId::new(scope, Key::new(Self::key(number)).expect("it is not empty"))
    }

    pub(crate) const CONSUMER: &str = "crash";
}

/// The header that holds a message's number.
pub(crate) const NUMBER: &str = "crash-number";
