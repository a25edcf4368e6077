//! The rules about what the broker can do.

use super::{Facts, Finding};
use crate::broker::{Capabilities, Hold};

pub(super) const RULES: [fn(&Facts<'_>, &Capabilities) -> Option<Finding>; 4] = [
    order_is_kept_by_the_source,
    message_ids_are_stable,
    delivery_limit_leaves_room,
    hold_outlasts_waits_and_timeout,
];

fn order_is_kept_by_the_source(facts: &Facts<'_>, source: &Capabilities) -> Option<Finding> {
    (facts.policy.ordered_by.is_some() && !source.ordered).then(|| Finding {
        setting: "ordered_by",
        found: "set".into(),
        needed: "a source that keeps order, or no ordered_by".into(),
        why: "this source gives messages of one key out of order, or to several consumers at once",
    })
}

fn message_ids_are_stable(facts: &Facts<'_>, source: &Capabilities) -> Option<Finding> {
    (facts.dedup_by_message_id && !source.stable_message_ids).then(|| Finding {
        setting: "dedup_key",
        found: "message_id".into(),
        needed: "a header or a field of the message".into(),
        why: "on this source a message gets a new id when it is copied or redriven",
    })
}

fn delivery_limit_leaves_room(facts: &Facts<'_>, source: &Capabilities) -> Option<Finding> {
    /// Deliveries that are not attempts: busy elsewhere, shutdown, prefetch.
    const MARGIN: u32 = 5;
    let needed = facts.policy.retry.attempts().saturating_add(MARGIN);
    let limit = source.delivery_limit?;
    (limit < needed).then(|| Finding {
        setting: "the broker's delivery limit",
        found: limit.to_string(),
        needed: format!("retry.max_attempts and a margin of {MARGIN}: {needed}"),
        why: "the broker would take messages away before the policy has decided",
    })
}

fn hold_outlasts_waits_and_timeout(facts: &Facts<'_>, source: &Capabilities) -> Option<Finding> {
    let policy = facts.policy;
    let hold = match source.hold {
        Hold::Fixed(hold) | Hold::Extendable { total: Some(hold), .. } => hold,
        _ => return None,
    };
    let longest = policy.retry.longest_wait();
    let handed_over =
        policy.ordered_by.is_none() && source.max_delay.is_some_and(|most| longest <= most);
    let in_place = if handed_over { longest.min(policy.retry.in_place()) } else { longest };
    let needed = policy.timeout.saturating_add(policy.grace).saturating_add(in_place);
    (hold <= needed).then(|| Finding {
        setting: "timeout and retry",
        found: format!("up to {needed:?} with a message unsettled"),
        needed: format!("less than {hold:?}, the broker's patience"),
        why: "the broker would take the message back in the middle of an attempt or a wait",
    })
}
