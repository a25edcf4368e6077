//! How long the broker leaves a message in our hands, and how often it gives it.

use std::time::Duration;

use super::{Check::Source, Facts, Mismatch, Rule, said};
use crate::broker::{Capabilities, Hold};

pub(super) const RULES: [Rule; 5] = [
    Rule::error("delivery-limit", Source(delivery_limit)),
    Rule::error("hold-within-attempt", Source(hold_within_attempt)),
    Rule::warning("hold-within-retries", Source(hold_within_retries)),
    Rule::warning("hold-within-queue", Source(hold_within_queue)),
    Rule::warning("timeout-beyond-renewal", Source(timeout_beyond_renewal)),
];

fn delivery_limit(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    /// Deliveries that are not attempts: busy elsewhere, shutdown, prefetch.
    const MARGIN: u32 = 5;
    let needed = facts.policy.retry.attempts().saturating_add(MARGIN);
    let limit = source.delivery_limit?;
    (limit < needed).then(|| Mismatch {
        setting: "the broker's delivery limit",
        found: limit.to_string(),
        needed: format!("retry.max_attempts and a margin of {MARGIN}: {needed}"),
        why: "the broker would take messages away before the policy has decided",
    })
}

fn hold_within_attempt(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    let (hold, needed) = (longest_hold(source)?, attempt_and_wait(facts, source));
    (hold <= needed).then(|| Mismatch {
        setting: "timeout and retry",
        found: format!("up to {} with a message unsettled", said(needed)),
        needed: format!("less than {}, the broker's patience", said(hold)),
        why: "the broker would take the message back in the middle of an attempt or a wait",
    })
}

fn hold_within_retries(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    let hold = longest_hold(source)?;
    let needed = facts.policy.longest_in_place(source, facts.policy.longest_attempt());
    (hold > attempt_and_wait(facts, source) && hold <= needed).then(|| Mismatch {
        setting: "timeout and retry",
        found: format!("up to {} for the attempts of one delivery", said(needed)),
        needed: format!("less than {}, the broker's patience in all", said(hold)),
        why: "the broker takes a message back that fails slowly, and a delivery is lost each time",
    })
}

/// Messages are held from the moment they are received, not from that when a handler has time.
fn hold_within_queue(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    let hold = longest_hold(source)?;
    let policy = &facts.policy;
    let rounds = policy.max_in_flight().div_ceil(policy.concurrency.max(1));
    let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
    let needed = policy.longest_attempt().saturating_mul(rounds);
    (hold > attempt_and_wait(facts, source) && hold <= needed).then(|| Mismatch {
        setting: "max_in_flight",
        found: format!("{} for {} handlers", policy.max_in_flight(), policy.concurrency),
        needed: format!(
            "so few that {rounds} attempts after one another, {}, fit into the broker's patience, {}",
            said(needed),
            said(hold)
        ),
        why: "when handlers are slow, messages that were received early are taken back before \
              their turn comes",
    })
}

fn timeout_beyond_renewal(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    let Hold::Extendable { each, .. } = source.hold else { return None };
    let timeout = facts.policy.timeout;
    (facts.store.is_none() && timeout > each).then(|| Mismatch {
        setting: "timeout",
        found: said(timeout),
        needed: format!(
            "at most {}, one hold of the broker's, or a store and a dedup_key",
            said(each)
        ),
        why: "an attempt that blocks its thread cannot extend the hold, and without a store \
              nothing keeps the message from running twice at the same time",
    })
}

/// The longest time that the broker leaves a delivery unsettled, if it bounds it.
fn longest_hold(source: &Capabilities) -> Option<Duration> {
    match source.hold {
        Hold::Fixed(hold) | Hold::Extendable { total: Some(hold), .. } => Some(hold),
        _ => None,
    }
}

/// The longest wait in place, and the attempt after it.
fn attempt_and_wait(facts: &Facts, source: &Capabilities) -> Duration {
    let policy = &facts.policy;
    let longest = policy.retry.longest_wait();
    let in_place = match policy.waits_in_place(source, longest) {
        true => longest,
        false => longest.min(policy.retry.in_place()),
    };
    policy.longest_attempt().saturating_add(in_place)
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{MINUTE, Sample, finds, passes, secs};
    use super::*;
    use crate::{Backoff, Retry};

    #[test]
    fn the_policy_decides_before_the_broker_does() {
        finds("delivery-limit", |sample| sample.source.delivery_limit = Some(9));
        passes(|sample| sample.source.delivery_limit = Some(10));
    }

    /// As RabbitMQ's consumer timeout of half an hour.
    fn impatient(change: impl FnOnce(&mut Sample)) -> impl FnOnce(&mut Sample) {
        |sample| {
            sample.source.hold = Hold::Fixed(secs(30 * MINUTE));
            change(sample);
        }
    }

    #[test]
    fn an_attempt_ends_before_the_brokers_patience() {
        finds(
            "hold-within-attempt",
            impatient(|sample| {
                sample.policy.timeout = secs(30 * MINUTE);
                sample.policy.max_in_flight = Some(16);
            }),
        );
        finds(
            "hold-within-attempt",
            impatient(|sample| {
                sample.policy.timeout = secs(20 * MINUTE);
                sample.policy.max_in_flight = Some(16);
                sample.policy.retry =
                    Retry::with_backoff(Backoff::fixed(secs(10 * MINUTE))).max_attempts(2);
                sample.source.max_delay = None;
            }),
        );
    }

    #[test]
    fn all_attempts_of_a_delivery_end_before_the_brokers_patience() {
        finds(
            "hold-within-retries",
            impatient(|sample| {
                sample.policy.timeout = secs(6 * MINUTE);
                sample.policy.retry =
                    Retry::with_backoff(Backoff::fixed(secs(1))).in_place_up_to(secs(1));
                sample.policy.max_in_flight = Some(16);
            }),
        );
        passes(impatient(|sample| {
            sample.policy.timeout = secs(6 * MINUTE);
            sample.policy.retry =
                Retry::with_backoff(Backoff::fixed(secs(2))).in_place_up_to(secs(1));
            sample.policy.max_in_flight = Some(16);
        }));
    }

    #[test]
    fn the_turn_of_a_message_comes_before_the_end_of_its_hold() {
        let twice = || Retry::with_backoff(Backoff::fixed(secs(1))).max_attempts(2);
        finds(
            "hold-within-queue",
            impatient(|sample| {
                sample.policy.timeout = secs(8 * MINUTE);
                sample.policy.retry = twice();
            }),
        );
        passes(impatient(|sample| {
            sample.policy.timeout = secs(7 * MINUTE);
            sample.policy.retry = twice();
        }));
    }

    #[test]
    fn without_a_store_an_attempt_fits_in_one_hold() {
        finds("timeout-beyond-renewal", |sample| {
            sample.forget_everything();
            sample.policy.timeout = secs(31);
        });
        passes(|sample| sample.policy.timeout = secs(31));
    }
}
