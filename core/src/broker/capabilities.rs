//! What a subscription can do.

use std::time::Duration;

#[cfg(doc)]
use super::{Settle, Settlement};

/// What a subscription can do. The consumer, the checks at start and the conformance suite all read
/// this one value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether the messages of one key come in order, and to one consumer at a time.
    pub ordered: bool,
    /// The longest delay that [`Settlement::Requeue`] keeps exactly; `None`: it cannot delay. An
    /// ordered source keeps the place of what waits, so it claims no delay that needs a copy.
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
    /// Whether those ids come from the publisher, so that a message that is published twice, since
    /// its confirmation was lost, has one id.
    pub ids_by_publisher: bool,
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
            ids_by_publisher: false,
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
