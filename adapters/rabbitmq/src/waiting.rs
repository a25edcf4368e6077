//! Waiting queues: where a retry waits in the broker.

use std::{fmt, time::Duration};

use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::{ConfigError, queue::text};

/// The delays for which there are waiting queues, ascending.
///
/// One queue for each: messages expire at the head of a queue only, so that in one queue for all a
/// short delay would wait behind a long one.
///
/// Source: <https://www.rabbitmq.com/docs/ttl#per-message-ttl-caveats>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tiers(Vec<Duration>);

impl Tiers {
    pub(crate) fn new(delays: impl IntoIterator<Item = Duration>) -> Result<Self, ConfigError> {
        /// The server counts milliseconds in 32 bits.
        const LONGEST: Duration = Duration::from_millis(u32::MAX as u64);
        let mut delays: Vec<Duration> = delays.into_iter().collect();
        delays.sort_unstable();
        delays.dedup();
        let fits = |delay: &Duration| (Duration::from_millis(1)..=LONGEST).contains(delay);
        match delays.iter().find(|delay| !fits(delay)) {
            Some(delay) => Err(ConfigError::Wait(*delay)),
            None => Ok(Self(delays)),
        }
    }

    pub(crate) fn longest(&self) -> Option<Duration> {
        self.0.last().copied()
    }

    /// The shortest that keeps this delay; the longest of all for one that none keeps.
    pub(crate) fn for_delay(&self, delay: Duration) -> Option<Duration> {
        self.0.iter().copied().find(|tier| *tier >= delay).or(self.longest())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Duration> {
        self.0.iter().copied()
    }
}

impl Default for Tiers {
    fn default() -> Self {
        Self([1, 2, 5, 10, 30, 60, 300, 900, 3600].map(Duration::from_secs).to_vec())
    }
}

/// The name of the queue in which messages of a source wait.
pub(crate) fn name(source: &str, tier: Duration) -> String {
    format!("{source}.steadfast.wait.{}", Short(tier))
}

/// What makes a waiting queue lose nothing: it is replicated and on disk, its copies are handed on
/// with confirmations, and it refuses what it cannot hold. Without `reject-publish` the server falls
/// back to handing on at most once, and says so only in its log.
///
/// Source: <https://www.rabbitmq.com/docs/quorum-queues#activating-at-least-once-dead-lettering>.
pub(crate) fn arguments(source: &str, tier: Duration) -> FieldTable {
    let mut arguments = FieldTable::default();
    let mut set = |name: &str, value: AMQPValue| {
        arguments.insert(ShortString::from(name), value);
    };
    set("x-queue-type", text("quorum"));
    set("x-message-ttl", AMQPValue::LongLongInt(millis(tier)));
    set("x-dead-letter-exchange", text(""));
    set("x-dead-letter-routing-key", text(source));
    set("x-dead-letter-strategy", text("at-least-once"));
    set("x-overflow", text("reject-publish"));
    arguments
}

/// Arguments as an operator writes them.
pub(crate) fn shown(arguments: &FieldTable) -> String {
    let shown = arguments.inner().iter().map(|(name, value)| match value {
        AMQPValue::LongString(text) => format!("{name}={text}"),
        AMQPValue::LongLongInt(number) => format!("{name}={number}"),
        _ => name.to_string(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Rounded up: a wait is never shorter than asked for.
fn millis(tier: Duration) -> i64 {
    i64::try_from(tier.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

/// A delay as short as can be: `90s`, `5m`, `1h`, `250ms`.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = millis(self.0);
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
        let (unit, name) =
            units.into_iter().find(|(unit, _)| millis % unit == 0).unwrap_or((1, "ms"));
        write!(f, "{}{name}", millis / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_waits_in_the_queue_that_is_just_long_enough() {
        let tiers = Tiers::new([5, 1, 30].map(Duration::from_secs)).unwrap();
        let tier = |millis| tiers.for_delay(Duration::from_millis(millis)).unwrap().as_secs();
        assert_eq!([1, 1000, 1001, 5000, 29_999].map(tier), [1, 1, 5, 5, 30]);
        assert_eq!(tier(31_000), 30, "what none keeps waits as long as can be");
        assert_eq!(Tiers::new([]).unwrap().for_delay(Duration::from_secs(1)), None);
    }

    #[test]
    fn a_delay_that_the_server_cannot_keep_is_refused() {
        let beyond = Duration::from_secs(50 * 86_400);
        for delay in [Duration::ZERO, beyond] {
            assert_eq!(Tiers::new([delay]), Err(ConfigError::Wait(delay)));
        }
    }

    #[test]
    fn names_are_short_and_no_two_delays_have_one() {
        let shown = [1, 90_000, 300_000, 3_600_000, 86_400_000, 1500]
            .map(|millis| name("orders", Duration::from_millis(millis)));
        let endings = ["1ms", "90s", "5m", "1h", "1d", "1500ms"];
        assert_eq!(shown, endings.map(|ending| format!("orders.steadfast.wait.{ending}")));
    }
}
