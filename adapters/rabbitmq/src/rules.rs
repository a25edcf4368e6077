//! What a queue can do, from the server's version and the queue's arguments; and what is refused.

use std::time::Duration;

use steadfast::broker::{Capabilities, Hold};

use crate::{config::Config, inspect::Declared, version::Version};

/// A source as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nature {
    /// Whether order can be kept: one consumer at a time, and no priorities.
    pub(crate) ordered: bool,
    /// Whether one consumer at a time gets messages, for all that is known.
    pub(crate) single_active: bool,
    /// Whether messages of a high priority go before others although no argument says so.
    pub(crate) has_ranks: bool,
    /// Whether the queue counts deliveries.
    pub(crate) counts: bool,
    /// How often a message may be delivered before the server takes it away.
    pub(crate) deliveries: Option<u32>,
    /// Whether the server then dead-letters it without waiting for a confirmation, for all that is known.
    pub(crate) unconfirmed: bool,
    /// The broker's patience.
    pub(crate) patience: Option<Duration>,
}

impl Nature {
    /// # Errors
    /// In words, what makes this queue no safe source.
    pub(crate) fn of(
        queue: &str,
        declared: Option<&Declared>,
        version: Version,
        config: &Config,
    ) -> Result<Self, String> {
        let Some(declared) = declared else { return Self::unseen(queue, version, config) };
        let kind = declared.kind();
        if kind == "stream" {
            return Err(no_stream(queue));
        }
        let limit = delivery_limit(declared, version, config);
        let dead_letters =
            declared.text("x-dead-letter-exchange").is_some() || config.policies_dead_letter;
        if let Some(limit) = limit
            && !dead_letters
        {
            return Err(format!(
                "queue `{queue}` (RabbitMQ {version}) has a delivery limit of {limit} and no \
                 dead-letter exchange: the server would drop a message at its limit. Declare it \
                 with `x-delivery-limit` = -1 (steadfast counts attempts itself), or with \
                 `x-dead-letter-exchange`, `x-dead-letter-strategy` = at-least-once and `x-overflow` = \
                 reject-publish; if a policy sets them, say so by `RabbitMq::policies_dead_letter()`"
            ));
        }
        let patience = declared
            .number("x-consumer-timeout")
            .and_then(|millis| u64::try_from(millis).ok())
            .map(Duration::from_millis);
        let single_active = declared.is("x-single-active-consumer");
        let confirmed = declared.text("x-dead-letter-strategy") == Some("at-least-once")
            && declared.text("x-overflow") == Some("reject-publish");
        Ok(Self {
            ordered: single_active && declared.text("x-max-priority").is_none(),
            single_active,
            has_ranks: kind == "quorum" && version >= Version::new(4, 0),
            counts: kind == "quorum",
            deliveries: limit.map(|limit| limit.saturating_add(1)),
            unconfirmed: limit.is_some() && !confirmed && !config.policies_dead_letter,
            patience: patience.or(config.consumer_timeout),
        })
    }

    /// A queue whose arguments this user may not read. Nothing is claimed that is not seen, and the
    /// limit that the server sets where nothing is said must be spoken for.
    fn unseen(queue: &str, version: Version, config: &Config) -> Result<Self, String> {
        let limit = config.policy_limit.or_else(|| limit_by_default(version, config));
        if let Some(limit) = limit
            && !config.policies_dead_letter
        {
            return Err(format!(
                "queue `{queue}` (RabbitMQ {version}) may have a delivery limit of {limit} and no \
                 dead-letter exchange, and the server would drop a message at its limit: the \
                 arguments of the queue cannot be read without the right to configure it. Grant \
                 that (`rabbitmqctl set_permissions`), or say what is so: \
                 `RabbitMq::unlimited_deliveries()` for a queue with `x-delivery-limit` = -1 or a \
                 classic one, `RabbitMq::policies_dead_letter()` for one with a dead-letter exchange"
            ));
        }
        Ok(Self {
            ordered: false,
            single_active: true,
            has_ranks: false,
            counts: false,
            deliveries: limit.map(|limit| limit.saturating_add(1)),
            unconfirmed: false,
            patience: config.consumer_timeout,
        })
    }

    pub(crate) fn capabilities(
        &self,
        ordered: bool,
        version: Version,
        config: &Config,
    ) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.ordered = ordered && self.ordered;
        // In order, what waits keeps its place with us: a copy would stand behind what follows.
        if !capabilities.ordered {
            capabilities.max_delay = config.waits.longest();
            capabilities.delays_by_copy = capabilities.max_delay.is_some();
        }
        capabilities.hold = self.patience.map_or(Hold::Unlimited, Hold::Fixed);
        capabilities.counts_deliveries = self.counts;
        capabilities.delivery_limit = self.deliveries;
        capabilities.stable_message_ids = config.publishers_set_ids;
        capabilities.ids_by_publisher = config.publishers_set_ids;
        capabilities.max_message_bytes = Some(max_message_bytes(version, config));
        capabilities
    }
}

pub(crate) fn no_stream(queue: &str) -> String {
    format!(
        "queue `{queue}` is a stream: RabbitMQ cannot give a message of a stream back, so retries and \
         releases are impossible. Bind a quorum queue to what fills it"
    )
}

/// Only quorum queues have one. Since 4.0 it is 20 where nothing else is said, and -1 switches it
/// off.
///
/// Source: <https://www.rabbitmq.com/docs/quorum-queues#position-in-queue>, `x-delivery-limit`.
fn delivery_limit(declared: &Declared, version: Version, config: &Config) -> Option<u32> {
    if declared.kind() != "quorum" {
        return None;
    }
    match (declared.number("x-delivery-limit"), config.policy_limit) {
        // Of two limits the smaller one counts.
        (Some(limit), policy) => match (u32::try_from(limit).ok(), policy) {
            (Some(limit), Some(policy)) => Some(limit.min(policy)),
            (limit, policy) => limit.or(policy),
        },
        (None, Some(policy)) => Some(policy),
        (None, None) => limit_by_default(version, config),
    }
}

fn limit_by_default(version: Version, config: &Config) -> Option<u32> {
    (version >= Version::new(4, 0) && !config.unlimited_deliveries).then_some(20)
}

/// Whether a quorum queue of RabbitMQ 4 puts a message of this priority before others.
///
/// Source: <https://www.rabbitmq.com/docs/quorum-queues#priorities>.
pub(crate) fn is_high(priority: u8) -> bool {
    priority > 4
}

/// Source: <https://www.rabbitmq.com/docs/configure>, `max_message_size`.
pub(crate) fn max_message_bytes(version: Version, config: &Config) -> usize {
    let by_default = if version >= Version::new(4, 0) { 16 << 20 } else { 128 << 20 };
    config.max_message_bytes.unwrap_or(by_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V3: Version = Version::new(3, 10);
    const V4: Version = Version::new(4, 0);

    fn config() -> Config {
        Config::new("amqp://localhost").unwrap()
    }

    fn found<const N: usize>(
        arguments: [(&str, &str); N],
        version: Version,
    ) -> Result<Nature, String> {
        Nature::of("orders", Some(&Declared::with(arguments)), version, &config())
    }

    #[test]
    fn a_stream_is_refused_with_the_reason() {
        let words = found([("x-queue-type", "stream")], V4).unwrap_err();
        assert!(words.contains("stream") && words.contains("give a message"), "{words}");
    }

    #[test]
    fn a_delivery_limit_without_dead_letters_is_refused() {
        let limited = [("x-queue-type", "quorum"), ("x-delivery-limit", "5")];
        let words = found(limited, V3).unwrap_err();
        for part in [" 5 ", "x-delivery-limit", "x-dead-letter-strategy", "x-overflow"] {
            assert!(words.contains(part), "{part}: {words}");
        }

        let by_policy = Config { policies_dead_letter: true, ..config() };
        let nature = Nature::of("orders", Some(&Declared::with(limited)), V3, &by_policy);
        assert_eq!(nature.unwrap().deliveries, Some(6), "a limit of 5 is 6 deliveries");
    }

    #[test]
    fn dead_letters_of_the_servers_are_confirmed_only_with_both_arguments() {
        let limit = ("x-delivery-limit", "5");
        let (kind, exchange) = (("x-queue-type", "quorum"), ("x-dead-letter-exchange", ""));
        let strategy = ("x-dead-letter-strategy", "at-least-once");
        let overflow = ("x-overflow", "reject-publish");
        assert!(found([kind, limit, exchange], V3).unwrap().unconfirmed);
        assert!(found([kind, limit, exchange, strategy], V3).unwrap().unconfirmed);
        assert!(found([kind, limit, exchange, overflow], V3).unwrap().unconfirmed);
        assert!(!found([kind, limit, exchange, strategy, overflow], V3).unwrap().unconfirmed);
        let unlimited = ("x-delivery-limit", "-1");
        assert!(!found([kind, unlimited, exchange], V4).unwrap().unconfirmed, "none is taken away");
        let by_policy = Config { policies_dead_letter: true, ..config() };
        let declared = Declared::with([kind, limit, exchange]);
        let nature = Nature::of("orders", Some(&declared), V3, &by_policy).unwrap();
        assert!(!nature.unconfirmed, "a policy may say both");
    }

    #[test]
    fn from_4_0_on_there_is_a_limit_unless_it_is_switched_off() {
        let quorum = [("x-queue-type", "quorum")];
        assert_eq!(found(quorum, V3).unwrap().deliveries, None);
        assert!(found(quorum, V4).unwrap_err().contains("20"));
        let off = [("x-queue-type", "quorum"), ("x-delivery-limit", "-1")];
        assert_eq!(found(off, V4).unwrap().deliveries, None);
        assert_eq!(found([], V4).unwrap().deliveries, None, "a classic queue has none");
    }

    #[test]
    fn what_cannot_be_seen_is_refused_unless_it_is_spoken_for() {
        let unseen = |version, config: Config| Nature::of("orders", None, version, &config);
        assert_eq!(unseen(V3, config()).unwrap().deliveries, None, "3.x sets no limit by itself");
        let words = unseen(V4, config()).unwrap_err();
        assert!(words.contains("limit of 20") && words.contains("unlimited_deliveries"), "{words}");
        let unlimited = Config { unlimited_deliveries: true, ..config() };
        assert_eq!(unseen(V4, unlimited).unwrap().deliveries, None);
        let by_policy = Config { policies_dead_letter: true, ..config() };
        assert_eq!(unseen(V4, by_policy).unwrap().deliveries, Some(21));
        let limited = Config { policy_limit: Some(5), ..config() };
        assert!(unseen(V3, limited).is_err(), "a limit needs a dead-letter exchange everywhere");
    }

    #[test]
    fn order_needs_a_single_active_consumer_and_no_priorities() {
        let alone = ("x-single-active-consumer", "true");
        assert!(found([alone], V3).unwrap().ordered);
        assert!(!found([], V3).unwrap().ordered);
        assert!(!found([alone, ("x-max-priority", "5")], V3).unwrap().ordered);
    }

    #[test]
    fn quorum_queues_have_two_ranks_since_4_0() {
        let quorum = [("x-queue-type", "quorum"), ("x-delivery-limit", "-1")];
        assert!(!found(quorum, V3).unwrap().has_ranks);
        assert!(found(quorum, V4).unwrap().has_ranks);
        assert!(!found([], V4).unwrap().has_ranks, "a classic queue has priorities if it says so");
        assert_eq!([0, 4, 5, 255].map(is_high), [false, false, true, true]);
    }

    #[test]
    fn an_ordered_source_claims_no_delay() {
        let nature = found([("x-single-active-consumer", "true")], V3).unwrap();
        let ordered = nature.capabilities(true, V3, &config());
        assert_eq!((ordered.max_delay, ordered.delays_by_copy), (None, false));
        let shared = nature.capabilities(false, V3, &config());
        assert_eq!((shared.max_delay, shared.ordered), (Some(Duration::from_secs(3600)), false));
    }

    #[test]
    fn a_queue_has_a_patience_of_its_own() {
        let nature = found([("x-consumer-timeout", "60000")], V4).unwrap();
        assert_eq!(nature.patience, Some(Duration::from_secs(60)));
    }
}
