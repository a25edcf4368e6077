//! Settings from a configuration file, over what the code says.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

use super::policy::{Limits, Policy};
use crate::Backoff;

/// Settings that replace what code or derive said, for [`Builder::configure`]. Read it from any
/// format that serde knows; durations are words such as `"250ms"`, `"10s"` or `"15days"`. What is
/// absent stays as it is, and a name that is not known is an error.
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
    /// As [`Builder::concurrency`](crate::Builder::concurrency).
    pub concurrency: Option<usize>,
    /// As [`Builder::max_in_flight`](crate::Builder::max_in_flight).
    pub max_in_flight: Option<usize>,
    /// As [`Builder::max_in_flight_bytes`](crate::Builder::max_in_flight_bytes).
    pub max_in_flight_bytes: Option<usize>,
    /// As [`Builder::waiting_share`](crate::Builder::waiting_share).
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
    /// As [`Builder::generation`](crate::Builder::generation).
    pub generation: Option<u32>,
    /// Parts of [`Builder::retry`](crate::Builder::retry).
    pub retry: RetrySettings,
    /// Parts of [`Builder::limits`](crate::Builder::limits).
    pub limits: LimitSettings,
}

/// Parts of a [`Retry`](crate::Retry) policy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetrySettings {
    /// As [`Retry::max_attempts`](crate::Retry::max_attempts).
    pub max_attempts: Option<u32>,
    /// As [`Retry::max_age`](crate::Retry::max_age).
    #[serde(deserialize_with = "duration")]
    pub max_age: Option<Duration>,
    /// As [`Retry::in_place_up_to`](crate::Retry::in_place_up_to).
    #[serde(deserialize_with = "duration")]
    pub in_place_up_to: Option<Duration>,
    /// Another schedule.
    pub backoff: Option<BackoffSettings>,
}

/// A schedule of waits.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum BackoffSettings {
    /// As [`Backoff::exponential`].
    Exponential {
        /// The longest wait after the first attempt.
        #[serde(deserialize_with = "required_duration")]
        first: Duration,
        /// The longest wait of all.
        #[serde(deserialize_with = "required_duration")]
        cap: Duration,
        /// The shortest wait.
        #[serde(default, deserialize_with = "required_duration")]
        floor: Duration,
    },
    /// As [`Backoff::fixed`].
    Fixed(#[serde(deserialize_with = "required_duration")] Duration),
}

/// Parts of [`Limits`].
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitSettings {
    /// As [`Limits::payload`].
    pub payload: Option<usize>,
    /// As [`Limits::key`].
    pub key: Option<usize>,
    /// As [`Limits::headers`].
    pub headers: Option<usize>,
    /// As [`Limits::header_bytes`].
    pub header_bytes: Option<usize>,
}

impl Settings {
    pub(super) fn apply(self, policy: &mut Policy) {
        put(&mut policy.source, self.source);
        put(&mut policy.group, self.group);
        put(&mut policy.dead_letter, self.dead_letter);
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
        put(&mut policy.generation, self.generation);
        self.retry.apply(policy);
        self.limits.apply(&mut policy.limits);
    }
}

impl RetrySettings {
    fn apply(self, policy: &mut Policy) {
        let mut retry = policy.retry.clone();
        if let Some(attempts) = self.max_attempts {
            retry = retry.max_attempts(attempts);
        }
        if let Some(age) = self.max_age {
            retry = retry.max_age(age);
        }
        if let Some(wait) = self.in_place_up_to {
            retry = retry.in_place_up_to(wait);
        }
        if let Some(backoff) = self.backoff {
            retry = retry.backoff(match backoff {
                BackoffSettings::Exponential { first, cap, floor } => {
                    Backoff::exponential(first, cap).floor(floor)
                }
                BackoffSettings::Fixed(wait) => Backoff::fixed(wait),
            });
        }
        policy.retry = retry;
    }
}

impl LimitSettings {
    fn apply(self, limits: &mut Limits) {
        put(&mut limits.payload, self.payload);
        put(&mut limits.key, self.key);
        put(&mut limits.headers, self.headers);
        put(&mut limits.header_bytes, self.header_bytes);
    }
}

fn put<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    required_duration(deserializer).map(Some)
}

fn required_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_str(Words)
}

struct Words;

impl Visitor<'_> for Words {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration in words, such as \"250ms\", \"10s\" or \"15days\"")
    }

    fn visit_str<E: Error>(self, words: &str) -> Result<Duration, E> {
        humantime::parse_duration(words)
            .map_err(|_| E::invalid_value(Unexpected::Str(words), &self))
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
            "limits": { "payload": 5 }
        }"#;
        let settings: Settings = serde_json::from_str(settings).unwrap();
        let mut policy = Policy::new("test".into());
        let before = policy.clone();
        settings.apply(&mut policy);
        assert_eq!(policy.source, "other");
        assert_eq!(policy.timeout, Duration::from_secs(90));
        assert_eq!(policy.max_in_flight(), 7);
        assert_eq!(policy.retry.attempts(), 9);
        assert_eq!(policy.retry.longest_wait(), Duration::from_secs(128));
        assert_eq!((policy.limits.payload, policy.limits.key), (5, before.limits.key));
        assert_eq!((policy.lease, policy.group), (before.lease, before.group));
    }

    #[test]
    fn a_bad_duration_is_told_with_its_words() {
        let bad = serde_json::from_str::<Settings>(r#"{ "lease": "soon" }"#).unwrap_err();
        let words = bad.to_string();
        assert!(words.contains("\"soon\"") && words.contains("250ms"), "{words}");
    }
}
