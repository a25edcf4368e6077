//! Attempts, the waits between them, and their end.

use std::time::Duration;

use super::{Check::Policy, Facts, Mismatch, Rule, said};

pub(super) const RULES: [Rule; 9] = [
    Rule::error("no-attempts", Policy(no_attempts)),
    Rule::error("no-timeout", Policy(no_timeout)),
    Rule::error("bad-backoff", Policy(bad_backoff)),
    Rule::error("max-age-within-wait", Policy(max_age_within_wait)),
    Rule::error("bad-breaker", Policy(bad_breaker)),
    Rule::error("stalled-too-soon", Policy(stalled_too_soon)),
    Rule::warning("single-attempt", Policy(single_attempt)),
    Rule::warning("quick-retries", Policy(quick_retries)),
    Rule::warning("long-drain", Policy(long_drain)),
];

fn no_attempts(facts: &Facts) -> Option<Mismatch> {
    (facts.policy.retry.attempts() == 0).then(|| Mismatch {
        setting: "retry.max_attempts",
        found: "0".into(),
        needed: "at least 1, the first attempt included".into(),
        why: "every message would be dead-lettered unseen",
    })
}

fn no_timeout(facts: &Facts) -> Option<Mismatch> {
    facts.policy.timeout.is_zero().then(|| Mismatch {
        setting: "timeout",
        found: "0".into(),
        needed: "the longest time that one attempt may take".into(),
        why: "every attempt would time out",
    })
}

fn bad_backoff(facts: &Facts) -> Option<Mismatch> {
    let schedules = [
        ("retry.backoff", facts.policy.retry.schedule()),
        ("breaker.probes", facts.policy.breaker.schedule()),
    ];
    let misfit = |(setting, schedule): (_, &crate::Backoff)| Some((setting, schedule.misfit()?));
    schedules.into_iter().find_map(misfit).map(|(setting, (found, needed))| Mismatch {
        setting,
        found,
        needed: needed.into(),
        why: "the waits would be others than were written down",
    })
}

fn max_age_within_wait(facts: &Facts) -> Option<Mismatch> {
    let retry = &facts.policy.retry;
    let (age, shortest) = (retry.oldest()?, retry.schedule().wait(1, 0.0)?);
    (retry.attempts() > 1 && age <= shortest).then(|| Mismatch {
        setting: "retry.max_age",
        found: said(age),
        needed: format!("more than the shortest wait, {}", said(shortest)),
        why: "no message would ever be retried",
    })
}

fn bad_breaker(facts: &Facts) -> Option<Mismatch> {
    facts.policy.breaker.misfit().map(|found| Mismatch {
        setting: "breaker.failure_ratio",
        found,
        needed: "a ratio above 0 and up to 1, and a window of at least 1".into(),
        why: "an outage would not be noticed, or everything would be one",
    })
}

fn stalled_too_soon(facts: &Facts) -> Option<Mismatch> {
    let stalled_after = facts.policy.stalled_after;
    (stalled_after.as_secs() == 0).then(|| Mismatch {
        setting: "stalled_after",
        found: said(stalled_after),
        needed: "at least 1s".into(),
        why: "a session that is quiet for a moment would be renewed",
    })
}

fn single_attempt(facts: &Facts) -> Option<Mismatch> {
    (facts.policy.retry.attempts() == 1).then(|| Mismatch {
        setting: "retry.max_attempts",
        found: "1".into(),
        needed: "at least 2".into(),
        why: "one lost connection, or one killed process, dead-letters all that it was working on",
    })
}

fn quick_retries(facts: &Facts) -> Option<Mismatch> {
    /// Less than what anything takes to come back.
    const SHORTEST: Duration = Duration::from_secs(1);
    let (attempts, window) = (facts.policy.retry.attempts(), facts.policy.retry.window());
    (attempts > 1 && window < SHORTEST).then(|| Mismatch {
        setting: "retry.backoff",
        found: format!("at most {} for all {attempts} attempts", said(window)),
        needed: format!("waits of more than {} together", said(SHORTEST)),
        why: "a restart of what the handler calls takes longer, and until it is noticed as an \
              outage messages are dead-lettered",
    })
}

fn long_drain(facts: &Facts) -> Option<Mismatch> {
    /// What Kubernetes gives a pod between SIGTERM and SIGKILL, unless told otherwise
    /// (`terminationGracePeriodSeconds`).
    const TERMINATION: Duration = Duration::from_secs(30);
    /// What settling takes after the grace period.
    const SETTLING: Duration = Duration::from_secs(5);
    let (drain, grace) = (facts.policy.drain, facts.policy.grace);
    let longest = drain.saturating_add(grace).saturating_add(SETTLING);
    (longest > TERMINATION).then(|| Mismatch {
        setting: "drain",
        found: format!("{}, with grace and settling {}", said(drain), said(longest)),
        needed: format!("at most {} in all, or a platform that waits longer", said(TERMINATION)),
        why: "Kubernetes kills a pod 30s after it asked it to stop, unless its \
              terminationGracePeriodSeconds says otherwise",
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{DAY, finds, passes, secs};
    use super::*;
    use crate::{Backoff, BreakerPolicy, Retry};

    #[test]
    fn some_attempt_is_made() {
        finds("no-attempts", |sample| sample.policy.retry = Retry::default().max_attempts(0));
    }

    #[test]
    fn an_attempt_has_time() {
        finds("no-timeout", |sample| sample.policy.timeout = Duration::ZERO);
    }

    #[test]
    fn waits_grow() {
        for backwards in [
            Backoff::exponential(secs(30), secs(3)),
            Backoff::exponential(secs(1), secs(3)).floor(secs(4)),
        ] {
            finds("bad-backoff", |sample| {
                sample.policy.retry = Retry::with_backoff(backwards.clone());
            });
            finds("bad-backoff", |sample| {
                sample.policy.breaker = BreakerPolicy::default().probes(backwards);
            });
        }
        passes(|sample| {
            sample.policy.retry = Retry::with_backoff(Backoff::exponential(secs(3), secs(3)));
        });
    }

    #[test]
    fn some_retry_is_young_enough() {
        let aged = |age| Retry::with_backoff(Backoff::fixed(secs(10))).max_age(secs(age));
        finds("max-age-within-wait", |sample| sample.policy.retry = aged(10));
        passes(|sample| sample.policy.retry = aged(11));
        passes(|sample| sample.policy.retry = Retry::default().max_age(secs(DAY)));
    }

    #[test]
    fn a_breaker_can_open() {
        for (ratio, window) in [(0.0, 10), (1.5, 10), (f64::NAN, 10), (0.5, 0)] {
            finds("bad-breaker", |sample| {
                sample.policy.breaker = BreakerPolicy::default().failure_ratio(ratio, window);
            });
        }
    }

    #[test]
    fn a_stall_is_told_from_a_pause() {
        finds("stalled-too-soon", |sample| {
            sample.policy.stalled_after = Duration::from_millis(999);
        });
        passes(|sample| sample.policy.stalled_after = secs(1));
    }

    #[test]
    fn a_second_attempt_outlives_a_lost_connection() {
        finds("single-attempt", |sample| sample.policy.retry = Retry::default().max_attempts(1));
    }

    #[test]
    fn retries_take_as_long_as_a_restart() {
        let millis = |each| Retry::with_backoff(Backoff::fixed(Duration::from_millis(each)));
        finds("quick-retries", |sample| sample.policy.retry = millis(0));
        finds("quick-retries", |sample| sample.policy.retry = millis(249));
        passes(|sample| sample.policy.retry = millis(250));
    }

    #[test]
    fn a_drain_ends_before_the_platform_kills() {
        finds("long-drain", |sample| sample.policy.drain = secs(24));
        passes(|sample| sample.policy.drain = secs(23));
    }
}
