//! Order per key, and what waits for it.

use std::time::Duration;

use super::{Check::Source, Facts, Mismatch, Rule, said};
use crate::broker::Capabilities;

pub(super) const RULES: [Rule; 3] = [
    Rule::error("unordered-source", Source(unordered_source)),
    Rule::warning("order-not-kept", Source(order_not_kept)),
    Rule::warning("long-waits-in-place", Source(long_waits_in_place)),
];

fn unordered_source(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    (facts.policy.ordered_by.is_some() && !source.ordered).then(|| Mismatch {
        setting: "ordered_by",
        found: "set".into(),
        needed: "a source that keeps order, or no ordered_by".into(),
        why: "this source gives messages of one key out of order, or to several consumers at once",
    })
}

fn order_not_kept(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    let policy = &facts.policy;
    let mixes = policy.ordered_by.is_none() && policy.concurrency > 1;
    (source.ordered && mixes).then(|| Mismatch {
        setting: "ordered_by",
        found: format!(
            "not set, on a source in order, with {} handlers at once",
            policy.concurrency
        ),
        needed: "ordered_by = key, where later messages of a key depend on earlier ones".into(),
        why: "the update of a thing may be handled before its creation",
    })
}

fn long_waits_in_place(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    const LONGEST: Duration = Duration::from_secs(15 * 60);
    let waits = facts.policy.longest_in_place(source, Duration::ZERO);
    (waits > LONGEST).then(|| Mismatch {
        setting: "retry.backoff",
        found: format!("up to {} of waiting in place", said(waits)),
        needed: format!(
            "at most {}, or for longer waits a broker that delays, unordered",
            said(LONGEST)
        ),
        why: "what waits in place takes room, and what is behind it in its key waits too: a few \
              bad messages stop all the others",
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{HOUR, MINUTE, finds, passes, secs};
    use crate::{Backoff, OrderedBy, Retry};

    #[test]
    fn order_comes_from_the_source() {
        finds("unordered-source", |sample| sample.policy.ordered_by = Some(OrderedBy::Key));
        passes(|sample| {
            sample.source.ordered = true;
            sample.policy.ordered_by = Some(OrderedBy::Key);
        });
    }

    #[test]
    fn order_is_not_thrown_away_unnoticed() {
        finds("order-not-kept", |sample| sample.source.ordered = true);
        passes(|sample| {
            sample.source.ordered = true;
            sample.policy.concurrency = 1;
        });
    }

    #[test]
    fn what_waits_does_not_stop_the_others() {
        let every = |minutes| Retry::with_backoff(Backoff::fixed(secs(minutes * MINUTE)));
        finds("long-waits-in-place", |sample| {
            sample.source.ordered = true;
            sample.policy.ordered_by = Some(OrderedBy::Key);
            sample.policy.retry = every(4);
        });
        finds("long-waits-in-place", |sample| {
            sample.source.max_delay = Some(secs(HOUR - 1));
            sample.policy.retry = every(60);
        });
        passes(|sample| sample.policy.retry = every(60));
    }
}
