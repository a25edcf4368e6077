//! The settings of a consumer, with their defaults.

use std::time::Duration;

use crate::{BreakerPolicy, Message, Retry, broker::Capabilities};

/// Everything that a [`Builder`](crate::Builder) sets by plain values.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) group: String,
    pub(crate) dead_letter: String,
    pub(crate) ordered_by: Option<OrderedBy>,
    pub(crate) concurrency: usize,
    pub(crate) max_in_flight: Option<usize>,
    pub(crate) max_in_flight_bytes: usize,
    pub(crate) waiting_share: f64,
    pub(crate) timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) drain: Duration,
    pub(crate) lease: Duration,
    pub(crate) lease_cap: Duration,
    pub(crate) retention: Duration,
    pub(crate) transactional: bool,
    pub(crate) generation: u32,
    pub(crate) retry: Retry,
    pub(crate) breaker: BreakerPolicy,
    pub(crate) limits: Limits,
    pub(crate) stalled_after: Duration,
    /// Names of warnings.
    pub(crate) acknowledged: Vec<String>,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Policy {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            source: String::new(),
            group: String::new(),
            dead_letter: String::new(),
            ordered_by: None,
            concurrency: 16,
            max_in_flight: None,
            max_in_flight_bytes: 64 << 20,
            waiting_share: 0.5,
            timeout: Duration::from_secs(30),
            grace: Duration::from_secs(2),
            drain: Duration::from_secs(20),
            lease: Duration::from_secs(30),
            lease_cap: 60 * MINUTE,
            retention: 15 * DAY,
            transactional: false,
            generation: 0,
            retry: Retry::default(),
            breaker: BreakerPolicy::default(),
            limits: Limits::default(),
            stalled_after: 2 * MINUTE,
            acknowledged: Vec::new(),
        }
    }

    pub(crate) fn max_in_flight(&self) -> usize {
        self.max_in_flight.unwrap_or(self.concurrency.saturating_mul(4))
    }

    /// How many deliveries may wait in place while intake goes on.
    pub(crate) fn waiting_share(&self) -> usize {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the share is between 0 and 1, and need not be exact"
        )]
        let share = (self.max_in_flight() as f64 * self.waiting_share) as usize;
        share.max(1)
    }

    /// The longest time that one attempt can take.
    pub(crate) fn longest_attempt(&self) -> Duration {
        self.timeout.saturating_add(self.grace)
    }

    /// Whether a wait for a retry is held here, and not by the broker.
    pub(crate) fn waits_in_place(&self, source: &Capabilities, wait: Duration) -> bool {
        let broker_can = source.max_delay.is_some_and(|longest| wait <= longest);
        self.ordered_by.is_some() || !broker_can || wait <= self.retry.in_place()
    }

    /// The longest time that one delivery can be held through its retries, where each attempt
    /// takes this long.
    pub(crate) fn longest_in_place(&self, source: &Capabilities, attempt: Duration) -> Duration {
        let (mut held, mut longest) = (attempt, attempt);
        for wait in self.retry.waits() {
            held = match self.waits_in_place(source, wait) {
                true => held.saturating_add(wait).saturating_add(attempt),
                false => attempt,
            };
            longest = longest.max(held);
        }
        longest
    }
}

/// By what an ordered consumer tells lanes apart. Lanes are chosen before decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrderedBy {
    /// The key by which the broker orders. Messages without one are in no order.
    Key,
    /// A header. Messages without it are in no order.
    Header(String),
    /// The partition: everything in it, one after another. A source without partitions is one.
    Partition,
}

/// Bounds on one message. What is beyond them goes to the dead letters undecoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Payload bytes.
    pub payload: usize,
    /// Key bytes.
    pub key: usize,
    /// Number of headers.
    pub headers: usize,
    /// Bytes of all header names and values.
    pub header_bytes: usize,
}

impl Default for Limits {
    /// 16 MiB of payload, 8 KiB of key, 256 headers of together 64 KiB.
    fn default() -> Self {
        Self { payload: 16 << 20, key: 8 << 10, headers: 256, header_bytes: 64 << 10 }
    }
}

impl Limits {
    /// Says which limit the message is beyond.
    pub(crate) fn check(&self, message: &Message) -> Result<(), String> {
        let measures = [
            ("payload", message.payload.as_ref().map_or(0, |bytes| bytes.len()), self.payload),
            ("key", message.key.as_ref().map_or(0, |bytes| bytes.len()), self.key),
            ("headers", message.headers.len(), self.headers),
            ("header_bytes", message.headers.size(), self.header_bytes),
        ];
        match measures.iter().find(|(_, found, most)| found > most) {
            Some((what, found, most)) => {
                Err(format!("limits.{what} is {most}, and the message has {found}"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_holds_to_the_byte() {
        let limits = Limits { payload: 2, key: 2, headers: 1, header_bytes: 4 };
        let fits = Message::new("ab").with_key("ab").with_header("ab", "cd");
        assert_eq!(limits.check(&fits), Ok(()));
        let beyond = [
            (Message::new("abc"), "limits.payload is 2"),
            (Message::new("").with_key("abc"), "limits.key is 2"),
            (fits.clone().with_header("", ""), "limits.headers is 1"),
            (Message::new("").with_header("ab", "cde"), "limits.header_bytes is 4"),
        ];
        for (message, words) in beyond {
            assert!(limits.check(&message).unwrap_err().contains(words));
        }
    }
}
