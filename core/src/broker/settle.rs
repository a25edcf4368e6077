//! Telling the broker what became of a delivery.

use std::time::Duration;

use super::BoxError;
use crate::{Delivery, Message, Origin, Receipt, delivery::History, headers};

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
        let mut message = delivery.message;
        message.payload = delivery.original;
        Self {
            receipt: delivery.receipt,
            attempts: delivery.attempt,
            message,
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
        headers::RETRY_COPY.write(&mut copy.headers, &self.origin, self.attempts, &self.history);
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
    /// that was not the message's own: brokers with a delivery limit treat them differently. A
    /// source that cannot delay delivers it again at once, in its place.
    Requeue {
        /// How long to wait.
        delay: Duration,
        /// Whether an attempt was used up.
        counted: bool,
    },
    /// Deliver it again at once, to whoever asks.
    Release,
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
