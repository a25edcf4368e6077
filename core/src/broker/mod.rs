//! What an adapter implements: a broker makes sources and publishers.
//!
//! A broker of your own implements [`Broker`], [`Source`] and [`Publish`], and proves them with the
//! suite of the crate `steadfast-conformance`.

mod capabilities;
mod publish;
mod settle;
mod source;

use std::{error::Error, sync::Arc};

use async_trait::async_trait;

pub use self::{
    capabilities::{Capabilities, Hold},
    publish::{Publish, PublishError},
    settle::{Settle, SettleError, Settlement},
    source::{Demand, Source},
};
#[cfg(feature = "mock")]
pub use self::{publish::MockPublish, source::MockSource};

/// An error of a client library, kept as the source of ours.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// An adapter to a message broker.
#[cfg_attr(feature = "mock", mockall::automock)]
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
