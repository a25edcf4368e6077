//! What stands in a queue.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use steadfast::Message;

/// Virtual time since the broker was made.
pub(crate) type Time = Duration;

/// A message as a topic keeps it.
pub(crate) struct Stored {
    pub(crate) message: Message,
    pub(crate) id: String,
    pub(crate) position: String,
    pub(crate) published: Time,
}

/// Where an entry stands in the queue. Twins stand right behind their original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(super) number: u64,
    pub(super) twin: u32,
}

impl Place {
    pub(crate) fn is_twin(self) -> bool {
        self.twin > 0
    }
}

pub(crate) struct Entry {
    pub(crate) stored: Arc<Stored>,
    pub(crate) deliveries: u32,
    pub(crate) phase: Phase,
    /// Deliveries that the delivery limit counts.
    pub(super) counted: u32,
}

pub(crate) enum Phase {
    Ready,
    Delayed(Time),
    Held(Holding),
}

/// One handing-over that has not been settled.
pub(crate) struct Holding {
    pub(crate) session: u64,
    pub(crate) tag: u64,
    pub(crate) since: Time,
    /// `None`: as long as the session lives.
    pub(crate) until: Option<Time>,
    /// The ack came and was lost: the receipt is used up, the entry is not.
    pub(crate) ack_lost: bool,
}

impl Holding {
    pub(crate) fn new(session: u64, tag: u64, since: Time, until: Option<Time>) -> Self {
        Self { session, tag, since, until, ack_lost: false }
    }
}

/// What a session holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// The unsettled entries of one key.
#[derive(Default)]
pub(super) struct Line {
    pub(super) places: BTreeSet<Place>,
    /// Those that are handed out, with their tags.
    pub(super) held: BTreeMap<Place, u64>,
    /// The one session that holds what is in `held`.
    pub(super) session: u64,
}
