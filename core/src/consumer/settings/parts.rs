//! Settings in groups.

use std::time::Duration;

use serde::Deserialize;

use super::{
    put,
    words::{bytes, count, duration, ratio, required_duration},
};
use crate::{Backoff, BreakerPolicy, DedupKey, Limits, Retry};

/// A [`DedupKey`] that needs no code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DedupKeySettings {
    /// As [`DedupKey::Header`].
    Header(String),
    /// As [`DedupKey::MessageId`].
    MessageId,
    /// As [`DedupKey::Key`].
    Key,
}

/// Parts of a [`Retry`](crate::Retry) policy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "parts of a retry policy, such as `max_attempts`"
)]
#[non_exhaustive]
pub struct RetrySettings {
    /// As [`Retry::max_attempts`](crate::Retry::max_attempts).
    #[serde(deserialize_with = "count")]
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

/// Parts of a [`BreakerPolicy`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "parts of a breaker policy, such as `window`")]
#[non_exhaustive]
pub struct BreakerSettings {
    /// The share in [`BreakerPolicy::failure_ratio`].
    #[serde(deserialize_with = "ratio")]
    pub failure_ratio: Option<f64>,
    /// The window in [`BreakerPolicy::failure_ratio`].
    #[serde(deserialize_with = "count")]
    pub window: Option<usize>,
    /// As [`BreakerPolicy::believed_for`].
    #[serde(deserialize_with = "duration")]
    pub believed_for: Option<Duration>,
    /// As [`BreakerPolicy::probes`].
    pub probes: Option<BackoffSettings>,
}

/// A schedule of waits.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "WrittenBackoff")]
#[non_exhaustive]
pub enum BackoffSettings {
    /// As [`Backoff::exponential`].
    Exponential {
        /// The longest wait after the first attempt.
        first: Duration,
        /// The longest wait of all.
        cap: Duration,
        /// The shortest wait.
        floor: Duration,
    },
    /// As [`Backoff::fixed`].
    Fixed(Duration),
}

/// As it stands in a file.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`fixed` with its duration, or `exponential` with `first` and `cap`"
)]
struct WrittenBackoff {
    exponential: Option<Exponential>,
    #[serde(default, deserialize_with = "duration")]
    fixed: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "`first`, the first wait, and `cap`, the longest")]
struct Exponential {
    #[serde(deserialize_with = "required_duration")]
    first: Duration,
    #[serde(deserialize_with = "required_duration")]
    cap: Duration,
    #[serde(default, deserialize_with = "required_duration")]
    floor: Duration,
}

impl TryFrom<WrittenBackoff> for BackoffSettings {
    type Error = &'static str;

    fn try_from(written: WrittenBackoff) -> Result<Self, Self::Error> {
        match (written.exponential, written.fixed) {
            (Some(Exponential { first, cap, floor }), None) => {
                Ok(Self::Exponential { first, cap, floor })
            }
            (None, Some(wait)) => Ok(Self::Fixed(wait)),
            _ => Err("a backoff is `fixed` with its duration, or `exponential` with `first` and \
                      `cap`: one of the two"),
        }
    }
}

/// Parts of [`Limits`].
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "limits, such as `payload`")]
#[non_exhaustive]
pub struct LimitSettings {
    /// As [`Limits::payload`].
    #[serde(deserialize_with = "bytes")]
    pub payload: Option<usize>,
    /// As [`Limits::key`].
    #[serde(deserialize_with = "bytes")]
    pub key: Option<usize>,
    /// As [`Limits::headers`].
    #[serde(deserialize_with = "count")]
    pub headers: Option<usize>,
    /// As [`Limits::header_bytes`].
    #[serde(deserialize_with = "bytes")]
    pub header_bytes: Option<usize>,
}

impl<M> From<DedupKeySettings> for DedupKey<M> {
    fn from(settings: DedupKeySettings) -> Self {
        match settings {
            DedupKeySettings::Header(name) => Self::Header(name),
            DedupKeySettings::MessageId => Self::MessageId,
            DedupKeySettings::Key => Self::Key,
        }
    }
}

impl RetrySettings {
    pub(super) fn apply(self, mut retry: Retry) -> Retry {
        if let Some(attempts) = self.max_attempts {
            retry = retry.max_attempts(attempts);
        }
        if let Some(age) = self.max_age {
            retry = retry.max_age(age);
        }
        if let Some(wait) = self.in_place_up_to {
            retry = retry.in_place_up_to(wait);
        }
        match self.backoff {
            Some(backoff) => retry.backoff(backoff.into()),
            None => retry,
        }
    }
}

impl BreakerSettings {
    pub(super) fn apply(self, breaker: BreakerPolicy) -> BreakerPolicy {
        let (mut ratio, mut window) = breaker.opens_at();
        put(&mut ratio, self.failure_ratio);
        put(&mut window, self.window);
        let mut breaker = breaker.failure_ratio(ratio, window);
        if let Some(length) = self.believed_for {
            breaker = breaker.believed_for(length);
        }
        match self.probes {
            Some(probes) => breaker.probes(probes.into()),
            None => breaker,
        }
    }
}

impl LimitSettings {
    pub(super) fn apply(self, limits: &mut Limits) {
        put(&mut limits.payload, self.payload);
        put(&mut limits.key, self.key);
        put(&mut limits.headers, self.headers);
        put(&mut limits.header_bytes, self.header_bytes);
    }
}

impl From<BackoffSettings> for Backoff {
    fn from(settings: BackoffSettings) -> Self {
        match settings {
            BackoffSettings::Exponential { first, cap, floor } => {
                Self::exponential(first, cap).floor(floor)
            }
            BackoffSettings::Fixed(wait) => Self::fixed(wait),
        }
    }
}
