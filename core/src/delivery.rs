//! One handing-over of a message by a broker.

mod decoded;

use std::{
    any::{Any, TypeId},
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::time::Instant;

pub(crate) use self::decoded::Decoded;
use crate::{
    Cancellation, Message,
    breaker::Pass,
    consumer::Slot,
    idempotency::Held,
    outcome::Conclusion,
    store::{Lent, Owner},
};

/// A message on its way through a consumer.
///
/// The consumer owns it, lends it to the process, and settles it. A middleware sees everything
/// about it and can lend things to the handler ([`Delivery::lend`]).
#[non_exhaustive]
pub struct Delivery {
    /// What was published.
    pub message: Message,
    /// Where it came from.
    pub origin: Origin,
    /// What the source needs to settle it.
    pub receipt: Receipt,
    /// How often the broker says it handed this message over, this time included. Counts busy
    /// answers, shutdowns and prefetch as well, and is `None` where the broker does not count.
    pub broker_deliveries: Option<u32>,
    /// The payload as it came, whatever a layer makes of it.
    pub(crate) original: Option<Bytes>,
    pub(crate) attempt: u32,
    pub(crate) dedup_key: Option<Bytes>,
    pub(crate) held: Option<Held>,
    pub(crate) transaction: Option<Box<dyn Lent>>,
    pub(crate) decoded: Decoded,
    pub(crate) slot: Option<Slot>,
    pub(crate) lane: Option<Bytes>,
    pub(crate) conclusion: Option<Conclusion>,
    pub(crate) failed_here: bool,
    /// Leave for the next attempt, from where an outer layer met an outage.
    pub(crate) probe: Option<Pass>,
    /// Who asks for its claim, until it is granted: a claim whose reply is lost may be found later.
    pub(crate) claims_as: Option<Owner>,
    /// Whether the last failed attempt stands in a record.
    pub(crate) recorded: bool,
    pub(crate) history: History,
    received: Instant,
    age_at_receipt: Option<Duration>,
    lent: Vec<(TypeId, Box<dyn Any + Send>)>,
    cancellation: Cancellation,
}

impl Delivery {
    /// A delivery, as an adapter makes it on receipt.
    pub fn new(message: Message, origin: Origin, receipt: Receipt) -> Self {
        Self {
            original: message.payload.clone(),
            message,
            age_at_receipt: origin
                .published_at
                .map(|published| SystemTime::now().duration_since(published).unwrap_or_default()),
            origin,
            receipt,
            broker_deliveries: None,
            attempt: 0,
            dedup_key: None,
            held: None,
            transaction: None,
            decoded: Decoded::default(),
            slot: None,
            lane: None,
            conclusion: None,
            failed_here: false,
            probe: None,
            claims_as: None,
            recorded: false,
            history: History::default(),
            received: Instant::now(),
            lent: Vec::new(),
            cancellation: Cancellation::new(),
        }
    }

    /// Sets what the broker counted.
    #[must_use]
    pub fn with_broker_deliveries(mut self, count: u32) -> Self {
        self.broker_deliveries = Some(count);
        self
    }

    /// Sets the age of the message at receipt, for a broker whose clock is not this machine's.
    /// Without it, the age is taken from `origin.published_at` and the system's clock.
    #[must_use]
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age_at_receipt = Some(age);
        self
    }

    /// The number of this attempt, from 1; 0 before the first has begun.
    ///
    /// With a store it is the durable count of the record. Without one, it starts from the
    /// broker's count, or from the count on our own retry copy.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The dedup key, once the idempotency middleware has determined it.
    pub fn dedup_key(&self) -> Option<&Bytes> {
        self.dedup_key.as_ref()
    }

    /// The fence of the current claim: it grows with every attempt at this dedup key. Pass it to
    /// outside systems that can refuse an older one. `None` without a store.
    pub fn fence(&self) -> Option<u64> {
        self.held.as_ref().map(|held| held.token().fence)
    }

    /// Time since the message was published, if the broker says when that was.
    pub fn age(&self) -> Option<Duration> {
        Some(self.age_at_receipt?.saturating_add(self.received.elapsed()))
    }

    /// The token that shutdown, revocation and a lost lease trip.
    pub fn cancellation(&self) -> &Cancellation {
        &self.cancellation
    }

    /// Gives a copy the face of its original.
    pub(crate) fn restore_origin(&mut self, origin: Origin) {
        if let Some(published) = origin.published_at
            && let Some(copied) = self.origin.published_at
        {
            let since = copied.duration_since(published).unwrap_or_default();
            self.age_at_receipt = self.age_at_receipt.map(|age| age.saturating_add(since));
        }
        self.origin = origin;
    }

    /// Lends a value to the layers inside and to the handler, which reach it by its type. A value
    /// of the same type that was lent before is returned.
    pub fn lend<T: Send + 'static>(&mut self, value: T) -> Option<T> {
        let before = self.reclaim::<T>();
        self.lent.push((TypeId::of::<T>(), Box::new(value)));
        before
    }

    pub(crate) fn take_loans(&mut self) -> impl Sized + use<> {
        std::mem::take(&mut self.lent)
    }

    /// Takes back what was lent.
    pub fn reclaim<T: Send + 'static>(&mut self) -> Option<T> {
        let index = self.lent.iter().position(|(id, _)| *id == TypeId::of::<T>())?;
        let (_, value) = self.lent.swap_remove(index);
        value.downcast().ok().map(|value| *value)
    }

    /// What a middleware, or the store, lent under this type.
    pub fn lent<T: Send + 'static>(&mut self) -> Option<&mut T> {
        let found = self.lent.iter_mut().find(|(id, _)| *id == TypeId::of::<T>());
        if let Some((_, value)) = found {
            return value.downcast_mut();
        }
        self.transaction.as_mut()?.as_any_mut().downcast_mut()
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message", &self.message)
            .field("origin", &self.origin)
            .field("receipt", &self.receipt)
            .field("broker_deliveries", &self.broker_deliveries)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// Where a delivery came from, in the broker's own coordinates.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The topic or queue.
    pub source: Arc<str>,
    /// The number of its partition, where the source has some.
    pub partition: Option<u32>,
    /// The position in it: partition and offset, sequence number, ordering key: as the broker's
    /// own tools write it.
    pub position: Option<String>,
    /// The id that the broker or the producer gave the message.
    pub message_id: Option<String>,
    /// When the broker, else the producer, says that it was published.
    pub published_at: Option<SystemTime>,
}

impl Origin {
    /// An origin of which only the topic or queue is known.
    pub fn new(source: impl Into<Arc<str>>) -> Self {
        Self {
            source: source.into(),
            partition: None,
            position: None,
            message_id: None,
            published_at: None,
        }
    }

    /// Sets the partition.
    #[must_use]
    pub fn with_partition(mut self, number: u32) -> Self {
        self.partition = Some(number);
        self
    }

    /// Sets the position.
    #[must_use]
    pub fn with_position(mut self, position: impl Into<String>) -> Self {
        self.position = Some(position.into());
        self
    }

    /// Sets the message id.
    #[must_use]
    pub fn with_message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// Sets the time of publishing.
    #[must_use]
    pub fn with_published_at(mut self, at: SystemTime) -> Self {
        self.published_at = Some(at);
        self
    }
}

/// How a source recognises a delivery that it handed out.
///
/// `epoch` is the life of whatever makes a tag valid (a connection, an assignment): a tag of an
/// older epoch must change nothing. What does not fit two numbers (a receipt handle, a lease) the
/// adapter keeps in a table of its own, by `tag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Receipt {
    /// The connection or assignment that the tag belongs to.
    pub epoch: u64,
    /// Unique within the epoch.
    pub tag: u64,
}

impl Receipt {
    /// A receipt.
    pub const fn new(epoch: u64, tag: u64) -> Self {
        Self { epoch, tag }
    }
}

/// What earlier failures of this message are known, for its dead letter. `Debug` shows no error
/// text.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// When it failed first.
    pub first_failed: Option<SystemTime>,
    /// When it failed last.
    pub last_failed: Option<SystemTime>,
    /// The last error, as kind and bounded text.
    pub last_error: Option<String>,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("first_failed", &self.first_failed)
            .field("last_failed", &self.last_failed)
            .finish_non_exhaustive()
    }
}
