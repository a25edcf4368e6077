//! Putting messages somewhere.

use async_trait::async_trait;

use super::{BoxError, BrokerError};
use crate::Message;

/// Puts messages somewhere and waits until they are there.
#[cfg_attr(feature = "mock", mockall::automock)]
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
