//! What an adapter implements: a broker makes sources and publishers.
//!
//! A broker of your own implements [`Broker`], [`Source`] and [`Publish`], and proves them with the
//! suite of the crate `steadfast-conformance`.

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{Delivery, Message, Origin, Receipt, delivery::History, headers};

/// An error of a client library, kept as the source of ours.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// An adapter to a message broker.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// The value of `messaging.system` in spans: `kafka`, `rabbitmq`, `aws_sqs`, `gcp_pubsub`.
    fn system(&self) -> &'static str;

    /// Opens one session of a subscription. The consumer calls it again, with backoff and jitter,
    /// whenever a session ends, so an adapter does its full set-up here, each time.
    ///
    /// # Errors
    /// [`BrokerError::Misconfigured`] for what trying again cannot mend (no such queue, refused
    /// credentials): `run()` ends with it. [`BrokerError::Unavailable`] for everything else.
    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError>;

    /// A publisher, for dead letters and redrives, on a connection apart from the sources', so that
    /// a publish that fails or blocks takes no source with it.
    ///
    /// # Errors
    /// As [`Broker::subscribe`].
    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError>;
}

#[async_trait]
impl<B: Broker + ?Sized> Broker for Arc<B> {
    fn system(&self) -> &'static str {
        (**self).system()
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        (**self).subscribe(subscription).await
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        (**self).publisher().await
    }
}

/// What a consumer asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription {
    /// The topic or queue.
    pub source: String,
    /// The consumer group; on a queue the name under which this consumer shows itself.
    pub group: String,
    /// Whether messages of one key must come one after another in the order of publishing.
    pub ordered: bool,
    /// The most deliveries that may be unsettled, the adapter's own prefetch included.
    pub max_messages: usize,
    /// The most bytes that may be unsettled, the adapter's own prefetch included, where the broker
    /// can bound them.
    pub max_bytes: usize,
}

impl Subscription {
    /// An unordered subscription of at most 64 messages and 64 MiB.
    pub fn new(source: impl Into<String>, group: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            group: group.into(),
            ordered: false,
            max_messages: 64,
            max_bytes: 64 << 20,
        }
    }

    /// Asks for order per key.
    #[must_use]
    pub fn ordered(mut self) -> Self {
        self.ordered = true;
        self
    }

    /// Sets the bound on unsettled messages.
    #[must_use]
    pub fn max_messages(mut self, messages: usize) -> Self {
        self.max_messages = messages;
        self
    }

    /// Sets the bound on unsettled bytes.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

/// One session of a subscription: deliveries come out of it and are settled through it.
///
/// When the connection is lost the session ends: `receive` fails, and every receipt of it is
/// stale. The calls run side by side; `settle` and `extend` are never called for the same receipt
/// at the same time.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// What this subscription can do; constant for the life of the session.
    fn capabilities(&self) -> Capabilities;

    /// Waits for deliveries. Returns at most `demand.messages`, and stops behind the one that
    /// passes `demand.bytes`. An empty answer means "nothing yet": the consumer asks again.
    ///
    /// The consumer never drops a pending call; [`Source::stop`] ends it.
    ///
    /// # Errors
    /// Any error ends the session.
    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError>;

    /// Tells the broker what became of deliveries. Answers come in the order of the batch, one for
    /// each. The consumer collects what ends while a call is under way into the next batch.
    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>>;

    /// Extends the holds of these deliveries by the length that [`Hold::Extendable`] names,
    /// counted from now. Answers as for [`Source::settle`]. Called only for extendable holds.
    async fn extend(&self, receipts: &[Receipt]) -> Vec<Result<(), SettleError>>;

    /// Stops receiving: a pending `receive` and later ones return promptly, with what must still
    /// be settled or with nothing, and what the adapter has prefetched goes back to the broker.
    async fn stop(&self);

    /// Ends the session, after everything has been settled or given up.
    async fn close(&self);

    /// How many messages could be delivered to this session now, if the broker can tell: neither
    /// delayed ones nor those that another session holds or must get first. The watchdog renews a
    /// session that delivers nothing while this is above 0.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    async fn backlog(&self) -> Result<Option<u64>, BrokerError> {
        Ok(None)
    }
}

/// How much a consumer can take now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Demand {
    /// Messages, at least 1.
    pub messages: usize,
    /// Bytes, at least 1.
    pub bytes: usize,
}

impl Demand {
    /// A demand; values of 0 are raised to 1.
    pub fn new(messages: usize, bytes: usize) -> Self {
        Self { messages: messages.max(1), bytes: bytes.max(1) }
    }
}

/// A delivery on its way back to the broker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settle {
    /// Which delivery.
    pub receipt: Receipt,
    /// What to tell the broker.
    pub settlement: Settlement,
    /// The message, for adapters that delay by a copy.
    pub message: Message,
    /// Where it came from.
    pub origin: Origin,
    /// Attempts so far, the current one included.
    pub attempts: u32,
    pub(crate) history: History,
}

impl Settle {
    /// Settles a delivery that no process has seen.
    pub fn new(delivery: Delivery, settlement: Settlement) -> Self {
        Self {
            receipt: delivery.receipt,
            attempts: delivery.attempt(),
            message: delivery.message,
            origin: delivery.origin,
            history: delivery.history,
            settlement,
        }
    }

    /// The copy to publish where the broker cannot delay the original: same bytes, same key, same
    /// headers, and under reserved names the attempts so far and what failed. The adapter confirms
    /// it before it settles the original (P1).
    pub fn retry_copy(&self) -> Message {
        let mut copy = self.message.clone();
        headers::write_retry(&mut copy.headers, &self.origin, self.attempts, &self.history);
        copy
    }
}

/// What to tell the broker about a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// It has ended; never deliver it again.
    Ack,
    /// Deliver it again, not before `delay` has passed. `counted` tells a failed attempt from one
    /// that was not the message's own: brokers with a delivery limit treat them differently.
    Requeue {
        /// How long to wait.
        delay: Duration,
        /// Whether an attempt was used up.
        counted: bool,
    },
    /// Deliver it again at once, to whoever asks.
    Release,
}

/// What a subscription can do. The consumer, the checks at start and the conformance suite all read
/// this one value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether the messages of one key come in order, and to one consumer at a time.
    pub ordered: bool,
    /// The longest delay that [`Settlement::Requeue`] keeps exactly; `None`: it cannot delay.
    pub max_delay: Option<Duration>,
    /// The broker's patience with an unsettled delivery.
    pub hold: Hold,
    /// Whether a delay is kept by a copy, which carries the attempts in its headers
    /// ([`Settle::retry_copy`]), not by the original.
    pub delays_by_copy: bool,
    /// Whether deliveries carry the broker's count.
    pub counts_deliveries: bool,
    /// After how many deliveries the broker itself takes a message away.
    pub delivery_limit: Option<u32>,
    /// Whether every message has an id that stays the same however often it is delivered. (Retry
    /// copies and redrives carry the first id with them.)
    pub stable_message_ids: bool,
    /// Largest message that a destination of this broker takes, in bytes.
    pub max_message_bytes: Option<usize>,
}

impl Default for Capabilities {
    /// Promises nothing.
    fn default() -> Self {
        Self {
            ordered: false,
            max_delay: None,
            delays_by_copy: false,
            hold: Hold::Unlimited,
            counts_deliveries: false,
            delivery_limit: None,
            stable_message_ids: false,
            max_message_bytes: None,
        }
    }
}

/// The broker's patience with an unsettled delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hold {
    /// As long as the session lives, or the adapter's client extends it by itself.
    Unlimited,
    /// This long and no longer, as RabbitMQ's consumer timeout.
    Fixed(Duration),
    /// This long from receipt, and again from each extension, as an SQS visibility timeout.
    Extendable {
        /// The length of one extension.
        each: Duration,
        /// The longest hold in total, if the broker bounds it.
        total: Option<Duration>,
    },
}

/// Puts messages somewhere and waits until they are there.
#[async_trait]
pub trait Publish: Send + Sync + 'static {
    /// Publishes, and returns once the destination has confirmed that it holds the message (P1). A
    /// message that nobody took (RabbitMQ returns it, `mandatory`) is a failure. Must have a
    /// deadline of its own.
    ///
    /// # Errors
    /// [`PublishError`] tells a destination that is unavailable from one that refuses this message.
    async fn publish(&self, destination: &str, message: &Message) -> Result<(), PublishError>;

    /// Checks at start that the destination exists and can be written, without leaving a message.
    ///
    /// # Errors
    /// [`BrokerError::Misconfigured`] when it does not exist or may not be written.
    async fn check(&self, destination: &str) -> Result<(), BrokerError>;
}

/// Why a session cannot be had or has ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// Trying again does not help; the text names the setting and the fix.
    #[error("{0}")]
    Misconfigured(String),
    /// May pass by itself.
    #[error("the broker is unavailable: {0}")]
    Unavailable(#[source] BoxError),
}

impl BrokerError {
    /// An outage, from a client's error or from words.
    pub fn unavailable(error: impl Into<BoxError>) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why a message is not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The destination cannot take anything now, or its confirmation did not come: missing, full,
    /// forbidden, unreachable. Consumption pauses.
    #[error("the destination is unavailable: {0}")]
    Unavailable(#[source] BoxError),
    /// The destination does not take this one message, as too large.
    #[error("the destination refuses the message: {0}")]
    Refused(#[source] BoxError),
}

/// Why a delivery is not settled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The receipt is no longer valid: the broker delivers the message again, or has done so.
    #[error("the receipt is stale")]
    Stale,
    /// Nothing was settled, and the delivery is still ours: the consumer tries again.
    #[error("the broker is unavailable: {0}")]
    Unavailable(#[source] BoxError),
    /// A copy was needed and its destination does not take it: the consumer waits in place.
    #[error("the copy is refused: {0}")]
    Refused(#[source] BoxError),
}
