//! The rules that need no broker.

use super::{super::policy::Policy, Facts, Finding};
use crate::store::check_name;

pub(super) const RULES: [fn(&Facts<'_>) -> Option<Finding>; 16] = [
    name_is_a_name,
    group_is_a_name,
    source_is_given,
    dead_letter_is_given,
    concurrency_runs_something,
    bounds_hold_what_runs,
    some_attempt_is_made,
    timeout_lets_something_run,
    lease_can_be_renewed,
    lease_cap_outlasts_the_timeout,
    retention_outlasts_the_retries,
    store_and_dedup_key_go_together,
    transactions_have_a_store_that_lends,
    waiting_share_is_a_share,
    breaker_can_open,
    stalls_are_told_from_pauses,
];

fn name_is_a_name(facts: &Facts<'_>) -> Option<Finding> {
    check_name("", &facts.policy.name).err().map(|_| Finding {
        setting: "name",
        found: format!("{:?}", facts.policy.name),
        needed: "1 to 90 of the characters A-Z a-z 0-9 . _ -".into(),
        why: "it names the scope of the records, and metrics",
    })
}

fn group_is_a_name(facts: &Facts<'_>) -> Option<Finding> {
    check_name("", &facts.policy.group).err().map(|_| Finding {
        setting: "group",
        found: format!("{:?}", facts.policy.group),
        needed: "1 to 90 of the characters A-Z a-z 0-9 . _ -".into(),
        why: "it shares out the messages, and names the scope of the records",
    })
}

fn source_is_given(facts: &Facts<'_>) -> Option<Finding> {
    facts.policy.source.is_empty().then(|| Finding {
        setting: "source",
        found: "not set".into(),
        needed: "the topic or queue to consume".into(),
        why: "there is nothing to consume without it",
    })
}

fn dead_letter_is_given(facts: &Facts<'_>) -> Option<Finding> {
    let dead_letter = &facts.policy.dead_letter;
    let found = match dead_letter.as_str() {
        "" => "not set".to_owned(),
        same if same == facts.policy.source => format!("{same:?}, the source itself"),
        _ => return None,
    };
    Some(Finding {
        setting: "dead_letter",
        found,
        needed: "a topic or queue of its own".into(),
        why: "messages that are given up must go somewhere, and not round in circles",
    })
}

fn concurrency_runs_something(facts: &Facts<'_>) -> Option<Finding> {
    (facts.policy.concurrency == 0).then(|| Finding {
        setting: "concurrency",
        found: "0".into(),
        needed: "at least 1".into(),
        why: "no handler would ever run",
    })
}

fn bounds_hold_what_runs(facts: &Facts<'_>) -> Option<Finding> {
    let Policy { concurrency, max_in_flight_bytes, .. } = facts.policy;
    if *max_in_flight_bytes == 0 {
        return Some(Finding {
            setting: "max_in_flight_bytes",
            found: "0".into(),
            needed: "at least 1".into(),
            why: "no message would fit",
        });
    }
    let most = facts.policy.max_in_flight();
    (most < *concurrency).then(|| Finding {
        setting: "max_in_flight",
        found: most.to_string(),
        needed: format!("at least the concurrency, {concurrency}"),
        why: "fewer messages than handlers leave handlers idle for ever",
    })
}

fn some_attempt_is_made(facts: &Facts<'_>) -> Option<Finding> {
    (facts.policy.retry.attempts() == 0).then(|| Finding {
        setting: "retry.max_attempts",
        found: "0".into(),
        needed: "at least 1".into(),
        why: "every message would be dead-lettered unseen",
    })
}

fn timeout_lets_something_run(facts: &Facts<'_>) -> Option<Finding> {
    facts.policy.timeout.is_zero().then(|| Finding {
        setting: "timeout",
        found: "0".into(),
        needed: "the longest time that one attempt may take".into(),
        why: "every attempt would time out",
    })
}

fn lease_can_be_renewed(facts: &Facts<'_>) -> Option<Finding> {
    let lease = facts.policy.lease;
    (facts.store.is_some() && lease.as_millis() < 100).then(|| Finding {
        setting: "lease",
        found: format!("{lease:?}"),
        needed: "at least 100ms".into(),
        why: "it is renewed at a third of its length, over the network",
    })
}

fn lease_cap_outlasts_the_timeout(facts: &Facts<'_>) -> Option<Finding> {
    let Policy { timeout, grace, lease_cap, .. } = facts.policy;
    (facts.store.is_some() && *lease_cap <= timeout.saturating_add(*grace)).then(|| Finding {
        setting: "lease_cap",
        found: format!("{lease_cap:?}"),
        needed: format!(
            "more than timeout and grace together, {:?}",
            timeout.saturating_add(*grace)
        ),
        why: "a healthy attempt would lose its lease",
    })
}

fn retention_outlasts_the_retries(facts: &Facts<'_>) -> Option<Finding> {
    let window = facts.policy.retry.window().saturating_add(facts.policy.lease);
    let retention = facts.policy.retention;
    (facts.store.is_some() && retention <= window).then(|| Finding {
        setting: "retention",
        found: format!("{retention:?}"),
        needed: format!("more than all retries take, {window:?}, and as long as you redrive"),
        why: "a duplicate that comes after its record is gone runs again",
    })
}

fn store_and_dedup_key_go_together(facts: &Facts<'_>) -> Option<Finding> {
    match (facts.store, facts.has_dedup_key) {
        (Some(_), false) => Some(Finding {
            setting: "dedup_key",
            found: "not set".into(),
            needed: "a header, a field, or the message id".into(),
            why: "the store remembers messages by it",
        }),
        (None, true) => Some(Finding {
            setting: "store",
            found: "not set".into(),
            needed: "a store, or no dedup_key".into(),
            why: "a dedup key does nothing without a store: duplicates would run",
        }),
        _ => None,
    }
}

fn transactions_have_a_store_that_lends(facts: &Facts<'_>) -> Option<Finding> {
    (facts.policy.transactional && facts.store != Some(true)).then(|| Finding {
        setting: "transactional",
        found: "on".into(),
        needed: "a store that lends transactions".into(),
        why: "the handler would find none",
    })
}

fn waiting_share_is_a_share(facts: &Facts<'_>) -> Option<Finding> {
    let share = facts.policy.waiting_share;
    (!(share > 0.0 && share <= 1.0)).then(|| Finding {
        setting: "waiting_share",
        found: share.to_string(),
        needed: "more than 0, and at most 1".into(),
        why: "it is the part of max_in_flight that may wait while intake goes on",
    })
}

fn breaker_can_open(facts: &Facts<'_>) -> Option<Finding> {
    facts.policy.breaker.check().err().map(|found| Finding {
        setting: "breaker.failure_ratio",
        found,
        needed: "a ratio above 0 and up to 1, and a window of at least 1".into(),
        why: "an outage would not be noticed, or everything would be one",
    })
}

fn stalls_are_told_from_pauses(facts: &Facts<'_>) -> Option<Finding> {
    let stalled_after = facts.policy.stalled_after;
    (stalled_after.as_secs() == 0).then(|| Finding {
        setting: "stalled_after",
        found: format!("{stalled_after:?}"),
        needed: "at least 1s".into(),
        why: "a session that is quiet for a moment would be renewed",
    })
}
