//! Settings from a configuration file, over what the code says.

mod parts;
mod words;

use std::time::Duration;

use serde::Deserialize;

pub use self::parts::{
    BackoffSettings, BreakerSettings, DedupKeySettings, LimitSettings, RetrySettings,
};
use self::words::{bytes, count, dedup_key, duration, flag, names, ordered_by, ratio};
use super::policy::{OrderedBy, Policy};

/// Settings that replace what code or derive said, for [`Builder::configure`]. Read it from any
/// format that serde knows; durations are words such as `"250ms"`, `"10s"` or `"15days"`, and bytes a
/// number or words such as `"64MiB"`. What is absent stays as it is, and a name that is not known is
/// an error.
///
/// Two things stay in the code. The name is the consumer's identity: under another one it would
/// remember nothing. And what is code: filter, codec, layers, a dedup key that is a field or a function
/// of the decoded message; in the place of the last, a `dedup_key` that is data may be given.
///
/// ```
/// let settings: steadfast::Settings = serde_json::from_str(
///     r#"{ "concurrency": 64, "timeout": "10s", "retry": { "max_attempts": 8 } }"#,
/// )?;
/// assert_eq!(settings.concurrency, Some(64));
///
/// let typo = serde_json::from_str::<steadfast::Settings>(r#"{ "timeut": "10s" }"#);
/// assert!(typo.unwrap_err().to_string().contains("expected one of"));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// [`Builder::configure`]: crate::Builder::configure
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// As [`Builder::source`](crate::Builder::source).
    pub source: Option<String>,
    /// As [`Builder::group`](crate::Builder::group).
    pub group: Option<String>,
    /// As [`Builder::dead_letter`](crate::Builder::dead_letter).
    pub dead_letter: Option<String>,
    /// As [`Builder::dedup_key`](crate::Builder::dedup_key): `"message_id"`, `"key"`, or a `header` and
    /// its name.
    #[serde(deserialize_with = "dedup_key")]
    pub dedup_key: Option<DedupKeySettings>,
    /// As [`Builder::ordered_by`](crate::Builder::ordered_by): `"key"`, `"partition"`, or a `header` and
    /// its name.
    #[serde(deserialize_with = "ordered_by")]
    pub ordered_by: Option<OrderedBy>,
    /// As [`Builder::concurrency`](crate::Builder::concurrency).
    #[serde(deserialize_with = "count")]
    pub concurrency: Option<usize>,
    /// As [`Builder::max_in_flight`](crate::Builder::max_in_flight).
    #[serde(deserialize_with = "count")]
    pub max_in_flight: Option<usize>,
    /// As [`Builder::max_in_flight_bytes`](crate::Builder::max_in_flight_bytes).
    #[serde(deserialize_with = "bytes")]
    pub max_in_flight_bytes: Option<usize>,
    /// As [`Builder::waiting_share`](crate::Builder::waiting_share).
    #[serde(deserialize_with = "ratio")]
    pub waiting_share: Option<f64>,
    /// As [`Builder::timeout`](crate::Builder::timeout).
    #[serde(deserialize_with = "duration")]
    pub timeout: Option<Duration>,
    /// As [`Builder::grace`](crate::Builder::grace).
    #[serde(deserialize_with = "duration")]
    pub grace: Option<Duration>,
    /// As [`Builder::drain`](crate::Builder::drain).
    #[serde(deserialize_with = "duration")]
    pub drain: Option<Duration>,
    /// As [`Builder::lease`](crate::Builder::lease).
    #[serde(deserialize_with = "duration")]
    pub lease: Option<Duration>,
    /// As [`Builder::lease_cap`](crate::Builder::lease_cap).
    #[serde(deserialize_with = "duration")]
    pub lease_cap: Option<Duration>,
    /// As [`Builder::retention`](crate::Builder::retention).
    #[serde(deserialize_with = "duration")]
    pub retention: Option<Duration>,
    /// As [`Builder::stalled_after`](crate::Builder::stalled_after).
    #[serde(deserialize_with = "duration")]
    pub stalled_after: Option<Duration>,
    /// As [`Builder::transactional`](crate::Builder::transactional), or not.
    #[serde(deserialize_with = "flag")]
    pub transactional: Option<bool>,
    /// As [`Builder::generation`](crate::Builder::generation).
    #[serde(deserialize_with = "count")]
    pub generation: Option<u32>,
    /// Further names for [`Builder::acknowledge`](crate::Builder::acknowledge).
    #[serde(deserialize_with = "names")]
    pub acknowledge: Vec<String>,
    /// Parts of [`Builder::retry`](crate::Builder::retry).
    pub retry: RetrySettings,
    /// Parts of [`Builder::breaker`](crate::Builder::breaker).
    pub breaker: BreakerSettings,
    /// Parts of [`Builder::limits`](crate::Builder::limits).
    pub limits: LimitSettings,
}

impl Settings {
    /// All but the dedup key, which is no part of the policy.
    pub(super) fn apply(self, policy: &mut Policy) {
        put(&mut policy.source, self.source);
        put(&mut policy.group, self.group);
        put(&mut policy.dead_letter, self.dead_letter);
        policy.ordered_by = self.ordered_by.or(policy.ordered_by.take());
        put(&mut policy.concurrency, self.concurrency);
        policy.max_in_flight = self.max_in_flight.or(policy.max_in_flight);
        put(&mut policy.max_in_flight_bytes, self.max_in_flight_bytes);
        put(&mut policy.waiting_share, self.waiting_share);
        put(&mut policy.timeout, self.timeout);
        put(&mut policy.grace, self.grace);
        put(&mut policy.drain, self.drain);
        put(&mut policy.lease, self.lease);
        put(&mut policy.lease_cap, self.lease_cap);
        put(&mut policy.retention, self.retention);
        put(&mut policy.stalled_after, self.stalled_after);
        put(&mut policy.transactional, self.transactional);
        put(&mut policy.generation, self.generation);
        policy.acknowledged.extend(self.acknowledge);
        policy.retry = self.retry.apply(policy.retry.clone());
        policy.breaker = self.breaker.apply(policy.breaker.clone());
        self.limits.apply(&mut policy.limits);
    }
}

fn put<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_replaces_and_what_is_absent_stays() {
        let settings = r#"{
            "source": "other", "timeout": "1m 30s", "max_in_flight": 7,
            "retry": { "max_attempts": 9, "backoff": { "exponential": { "first": "1s", "cap": "1h" } } },
            "ordered_by": { "header": "customer" }, "transactional": true,
            "breaker": { "window": 7, "probes": { "fixed": "9s" } }, "max_in_flight_bytes": "2KiB",
            "limits": { "payload": 5 }, "acknowledge": ["long-drain"]
        }"#;
        let settings: Settings = serde_json::from_str(settings).unwrap();
        let mut policy = Policy::new("test".into());
        policy.acknowledged.push("single-attempt".into());
        let before = policy.clone();
        settings.apply(&mut policy);
        assert_eq!(policy.source, "other");
        assert_eq!(policy.timeout, Duration::from_secs(90));
        assert_eq!(policy.max_in_flight(), 7);
        assert_eq!(policy.retry.attempts(), 9);
        assert_eq!(policy.retry.longest_wait(), Duration::from_secs(128));
        assert_eq!((policy.limits.payload, policy.limits.key), (5, before.limits.key));
        assert_eq!(policy.ordered_by, Some(OrderedBy::Header("customer".into())));
        assert_eq!((policy.transactional, policy.max_in_flight_bytes), (true, 2048));
        assert_eq!(policy.breaker.opens_at(), (before.breaker.opens_at().0, 7));
        assert_eq!(policy.breaker.schedule().longest(1), Duration::from_secs(9));
        assert_eq!(policy.acknowledged, ["single-attempt", "long-drain"]);
        assert_eq!((policy.lease, policy.group), (before.lease, before.group));
    }

    #[test]
    fn order_is_by_key_partition_or_header() {
        for (json, by) in [
            (r#"{ "ordered_by": "key" }"#, OrderedBy::Key),
            (r#"{ "ordered_by": "partition" }"#, OrderedBy::Partition),
            (r#"{ "ordered_by": { "header": "customer" } }"#, OrderedBy::Header("customer".into())),
        ] {
            let settings: Settings = serde_json::from_str(json).unwrap();
            assert_eq!(settings.ordered_by, Some(by));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_what_can() {
        let refused = [
            (r#"{ "timeout": 10 }"#, "250ms"),
            (r#"{ "max_in_flight_bytes": "64MB" }"#, "\"16MiB\""),
            (r#"{ "max_in_flight_bytes": -1 }"#, "\"16MiB\""),
            (r#"{ "ordered_by": "customer" }"#, "\"key\", \"partition\", or `header`"),
            (r#"{ "ordered_by": { "field": "customer" } }"#, "`header`"),
            (r#"{ "concurrency": -1 }"#, "a whole number, such as 5"),
            (r#"{ "waiting_share": "half" }"#, "a number, such as 0.5"),
            (r#"{ "dedup_key": "order_id" }"#, "a field or a function is code"),
            (r#"{ "dedup_key": { "field": "order_id" } }"#, "`header`"),
            (r#"{ "transactional": "yes" }"#, "true or false"),
            (r#"{ "acknowledge": 5 }"#, "a list of names"),
            (r#"{ "retry": { "max_retries": 3 } }"#, "`max_attempts`"),
            (r#"{ "retry": 5 }"#, "expected parts of a retry policy"),
            (r#"{ "retry": { "backoff": "fixed" } }"#, "`fixed` with its duration, or"),
            (r#"{ "retry": { "backoff": {} } }"#, "`fixed` with its duration, or"),
            (r#"{ "retry": { "backoff": { "exponential": { "first": "1s" } } } }"#, "`cap`"),
        ];
        for (json, words) in refused {
            let error = serde_json::from_str::<Settings>(json).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    /// As they come from the environment.
    #[test]
    fn every_scalar_may_be_in_words() {
        let settings = r#"{ "transactional": "false", "generation": "7", "waiting_share": "0.25",
            "max_in_flight_bytes": "1024", "concurrency": "5", "acknowledge": "long-drain" }"#;
        let settings: Settings = serde_json::from_str(settings).unwrap();
        assert_eq!((settings.transactional, settings.generation), (Some(false), Some(7)));
        assert_eq!((settings.waiting_share, settings.concurrency), (Some(0.25), Some(5)));
        assert_eq!(settings.max_in_flight_bytes, Some(1024));
    }

    #[test]
    fn a_dedup_key_that_is_data_takes_the_place_of_the_other() {
        let keys = [
            (r#""message_id""#, "message_id"),
            (r#""key""#, "key"),
            (r#"{ "header": "delivery" }"#, "header(\"delivery\")"),
        ];
        for (written, shown) in keys {
            let settings =
                serde_json::from_str(&format!("{{ \"dedup_key\": {written} }}")).unwrap();
            let handler = crate::handler_fn(|_: String| async { Ok(()) });
            let consumer = crate::Consumer::builder("a", handler)
                .dedup_key(crate::DedupKey::of(String::clone))
                .configure(settings)
                .configure(Settings::default());
            let shown = format!("dedup_key: Some({shown})");
            assert!(format!("{consumer:?}").contains(&shown), "{consumer:?}");
        }
    }

    #[test]
    fn a_bad_duration_is_told_with_its_words() {
        let bad = serde_json::from_str::<Settings>(r#"{ "lease": "soon" }"#).unwrap_err();
        let words = bad.to_string();
        assert!(words.contains("\"soon\"") && words.contains("250ms"), "{words}");
    }
}
