//! How much there may be at once.

use super::{Check::Policy, Check::Source, Facts, Mismatch, Rule};
use crate::broker::Capabilities;

pub(super) const RULES: [Rule; 6] = [
    Rule::error("no-concurrency", Policy(no_concurrency)),
    Rule::error("in-flight-below-concurrency", Policy(in_flight_below_concurrency)),
    Rule::error("no-bytes", Policy(no_bytes)),
    Rule::error("no-payload", Policy(no_payload)),
    Rule::error("bad-waiting-share", Policy(bad_waiting_share)),
    Rule::warning("narrow-bytes", Source(narrow_bytes)),
];

fn no_concurrency(facts: &Facts) -> Option<Mismatch> {
    (facts.policy.concurrency == 0).then(|| Mismatch {
        setting: "concurrency",
        found: "0".into(),
        needed: "at least 1".into(),
        why: "no handler would ever run",
    })
}

fn in_flight_below_concurrency(facts: &Facts) -> Option<Mismatch> {
    let (most, concurrency) = (facts.policy.max_in_flight(), facts.policy.concurrency);
    (most < concurrency).then(|| Mismatch {
        setting: "max_in_flight",
        found: most.to_string(),
        needed: format!("at least the concurrency, {concurrency}"),
        why: "fewer messages than handlers leave handlers idle for ever",
    })
}

fn no_bytes(facts: &Facts) -> Option<Mismatch> {
    (facts.policy.max_in_flight_bytes == 0).then(|| Mismatch {
        setting: "max_in_flight_bytes",
        found: "0".into(),
        needed: "at least 1".into(),
        why: "no message would fit",
    })
}

fn no_payload(facts: &Facts) -> Option<Mismatch> {
    (facts.policy.limits.payload == 0).then(|| Mismatch {
        setting: "limits.payload",
        found: "0".into(),
        needed: "the size of the largest payload, in bytes".into(),
        why: "every message with a payload would be dead-lettered",
    })
}

fn bad_waiting_share(facts: &Facts) -> Option<Mismatch> {
    let share = facts.policy.waiting_share;
    (!(share > 0.0 && share <= 1.0)).then(|| Mismatch {
        setting: "waiting_share",
        found: share.to_string(),
        needed: "more than 0, and at most 1".into(),
        why: "it is the part of max_in_flight that may wait while intake goes on",
    })
}

/// A number meant in MiB, for instance.
fn narrow_bytes(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    let limits = &facts.policy.limits;
    let allowed = limits.payload.saturating_add(limits.key).saturating_add(limits.header_bytes);
    let largest = source.max_message_bytes.map_or(allowed, |most| most.min(allowed));
    let bytes = facts.policy.max_in_flight_bytes;
    (bytes > 0 && bytes < largest).then(|| Mismatch {
        setting: "max_in_flight_bytes",
        found: format!("{bytes} bytes"),
        needed: format!(
            "at least the largest message that is taken, {largest} bytes, or smaller limits"
        ),
        why: "one large message would fill it and stop intake until it has ended",
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{finds, passes};

    #[test]
    fn some_handler_runs() {
        finds("no-concurrency", |sample| {
            sample.policy.concurrency = 0;
            sample.policy.max_in_flight = Some(1);
        });
    }

    #[test]
    fn there_are_as_many_messages_as_handlers() {
        finds("in-flight-below-concurrency", |sample| {
            (sample.policy.concurrency, sample.policy.max_in_flight) = (8, Some(7));
        });
        passes(|sample| {
            (sample.policy.concurrency, sample.policy.max_in_flight) = (8, Some(8));
        });
    }

    #[test]
    fn some_message_fits() {
        finds("no-bytes", |sample| sample.policy.max_in_flight_bytes = 0);
        finds("no-payload", |sample| sample.policy.limits.payload = 0);
    }

    #[test]
    fn a_share_is_a_part() {
        for share in [0.0, -0.5, 1.01, f64::NAN] {
            finds("bad-waiting-share", |sample| sample.policy.waiting_share = share);
        }
        passes(|sample| sample.policy.waiting_share = 1.0);
    }

    #[test]
    fn the_largest_message_does_not_stop_the_others() {
        finds("narrow-bytes", |sample| sample.policy.max_in_flight_bytes = 64);
        finds("narrow-bytes", |sample| {
            sample.policy.max_in_flight_bytes = (1 << 20) - 1;
            sample.source.max_message_bytes = Some(1 << 20);
        });
        passes(|sample| {
            sample.policy.max_in_flight_bytes = 1 << 20;
            sample.source.max_message_bytes = Some(1 << 20);
        });
    }
}
