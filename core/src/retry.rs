//! The retry policy: whether a failed attempt is followed by another, and when.

use std::time::Duration;

use crate::{Backoff, Cause, Failure, FailureKind, Outcome, Reason};

/// When to try again and when to give up.
#[derive(Debug, Clone)]
pub struct Retry {
    max_attempts: u32,
    backoff: Backoff,
    max_age: Option<Duration>,
    in_place: Duration,
}

impl Default for Retry {
    /// Five attempts, 200 ms doubling up to 30 s with full jitter, no maximum age; waits of up to
    /// 5 s in place.
    fn default() -> Self {
        Self {
            max_attempts: 5,
            backoff: Backoff::exponential(Duration::from_millis(200), Duration::from_secs(30)),
            max_age: None,
            in_place: Duration::from_secs(5),
        }
    }
}

impl Retry {
    /// The default policy with this schedule.
    pub fn with_backoff(backoff: Backoff) -> Self {
        Self { backoff, ..Self::default() }
    }

    /// Sets the schedule.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how many attempts there are in all, the first included. At least 1.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Gives up a message that would be older than this, counted from its publishing, at the next
    /// attempt. Needs a broker that says when a message was published.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Sets how long a wait may be to happen in place, the message unsettled and its hold
    /// extended. Longer ones are handed to the broker, if it can delay. Ordered consumers always
    /// wait in place.
    #[must_use]
    pub fn in_place_up_to(mut self, wait: Duration) -> Self {
        self.in_place = wait;
        self
    }

    /// Decides about a failed attempt: retry after a time, reject, or release when the failure is
    /// not the message's. `attempts` includes the failed one; `random` is in `0..1`.
    pub fn decide(
        &self,
        failure: Box<Failure>,
        attempts: u32,
        age: Option<Duration>,
        random: f64,
    ) -> Outcome {
        let at_least = match &failure.kind {
            FailureKind::Transient | FailureKind::TimedOut | FailureKind::Panicked => {
                Duration::ZERO
            }
            FailureKind::Throttled(not_before) => *not_before,
            FailureKind::Unavailable(dependency) => {
                let after = self.backoff.wait(1, random);
                return Outcome::Release { cause: Cause::Unavailable(dependency.clone()), after };
            }
            FailureKind::Permanent => return reject(Reason::Permanent, failure),
            FailureKind::Undecodable => return reject(Reason::Undecodable, failure),
            FailureKind::Conflict => return reject(Reason::Conflict, failure),
            FailureKind::NoDedupKey => return reject(Reason::NoDedupKey, failure),
            FailureKind::Oversize => return reject(Reason::Oversize, failure),
            FailureKind::Abandoned => return reject(Reason::Exhausted, failure),
        };
        if attempts >= self.max_attempts {
            return reject(Reason::Exhausted, failure);
        }
        let Some(wait) = self.backoff.wait(attempts.max(1), random) else {
            return reject(Reason::Exhausted, failure);
        };
        let after = wait.max(at_least);
        match (self.max_age, age) {
            (Some(max), Some(age)) if age.saturating_add(after) > max => {
                reject(Reason::Expired, failure)
            }
            _ => Outcome::Retry { after, failure },
        }
    }

    /// How many attempts there are in all.
    pub fn attempts(&self) -> u32 {
        self.max_attempts
    }

    pub(crate) fn schedule(&self) -> &Backoff {
        &self.backoff
    }

    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.max_age
    }

    pub(crate) fn in_place(&self) -> Duration {
        self.in_place
    }

    /// The longest single wait that this policy can ask for, throttling apart.
    pub(crate) fn longest_wait(&self) -> Duration {
        self.waits().chain([self.backoff.longest(1)]).max().unwrap_or_default()
    }

    /// The longest wait after each attempt but the last; of very many attempts the first ones.
    pub(crate) fn waits(&self) -> impl Iterator<Item = Duration> {
        let waits = self.max_attempts.saturating_sub(1).min(MOST_WAITS);
        (1..=waits).map(|attempt| self.backoff.longest(attempt))
    }

    /// The longest time that all waits of one message can take, throttling apart.
    pub(crate) fn window(&self) -> Duration {
        let beyond = self.max_attempts.saturating_sub(1).saturating_sub(MOST_WAITS);
        let tail = self.longest_wait().saturating_mul(beyond);
        self.waits().fold(tail, Duration::saturating_add)
    }
}

/// How many waits are looked at one by one.
const MOST_WAITS: u32 = 1000;

fn reject(reason: Reason, failure: Box<Failure>) -> Outcome {
    Outcome::Reject { reason, failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(kind: FailureKind, attempts: u32) -> Outcome {
        let failure = Box::new(Failure::new(kind, "x"));
        Retry::default().max_attempts(3).decide(failure, attempts, None, 1.0)
    }

    #[test]
    fn transient_failures_are_retried_until_the_attempts_are_used_up() {
        assert!(matches!(decide(FailureKind::Transient, 2), Outcome::Retry { .. }));
        let outcome = decide(FailureKind::Transient, 3);
        assert!(matches!(outcome, Outcome::Reject { reason: Reason::Exhausted, .. }));
    }

    #[test]
    fn a_throttled_message_is_not_retried_sooner_than_asked() {
        let hour = Duration::from_secs(3600);
        let outcome = decide(FailureKind::Throttled(hour), 1);
        assert!(matches!(outcome, Outcome::Retry { after, .. } if after == hour));
    }

    #[test]
    fn an_outage_uses_up_no_attempt() {
        let outcome = decide(FailureKind::Unavailable("db".into()), u32::MAX);
        assert!(matches!(outcome, Outcome::Release { cause: Cause::Unavailable(_), .. }));
    }

    #[test]
    fn a_message_that_would_be_too_old_is_rejected() {
        let retry = Retry::default().max_age(Duration::from_secs(60));
        let failure = || Box::new(Failure::new(FailureKind::Transient, "x"));
        let young = retry.decide(failure(), 1, Some(Duration::from_secs(1)), 1.0);
        assert!(matches!(young, Outcome::Retry { .. }));
        let old = retry.decide(failure(), 1, Some(Duration::from_secs(60)), 1.0);
        assert!(matches!(old, Outcome::Reject { reason: Reason::Expired, .. }));
    }
}
