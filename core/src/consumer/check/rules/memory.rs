//! What is remembered, and for how long.

use std::time::Duration;

use super::{Check::Policy, Check::Source, Facts, Mismatch, Rule, said};
use crate::broker::Capabilities;

pub(super) const RULES: [Rule; 13] = [
    Rule::error("store-without-key", Policy(store_without_key)),
    Rule::error("key-without-store", Policy(key_without_store)),
    Rule::error("transactions-without-store", Policy(transactions_without_store)),
    Rule::error("lease-too-short", Policy(lease_too_short)),
    Rule::error("lease-beyond-cap", Policy(lease_beyond_cap)),
    Rule::error("lease-cap-within-timeout", Policy(lease_cap_within_timeout)),
    Rule::error("retention-within-retries", Policy(retention_within_retries)),
    Rule::warning("retention-within-redrive", Policy(retention_within_redrive)),
    Rule::warning("uncounted-attempts", Source(uncounted_attempts)),
    Rule::warning("forgetful-store", Policy(forgetful_store)),
    Rule::warning("fragile-lease", Policy(fragile_lease)),
    Rule::warning("slow-takeover", Policy(slow_takeover)),
    Rule::warning("long-transactions", Policy(long_transactions)),
];

fn store_without_key(facts: &Facts) -> Option<Mismatch> {
    (facts.store.is_some() && facts.dedup_by.is_none()).then(|| Mismatch {
        setting: "dedup_key",
        found: "not set".into(),
        needed: "a header, a field, or the message id".into(),
        why: "the store remembers messages by it",
    })
}

fn key_without_store(facts: &Facts) -> Option<Mismatch> {
    (facts.store.is_none() && facts.dedup_by.is_some()).then(|| Mismatch {
        setting: "store",
        found: "not set".into(),
        needed: "a store, or no dedup_key".into(),
        why: "a dedup key does nothing without a store: duplicates would run",
    })
}

fn transactions_without_store(facts: &Facts) -> Option<Mismatch> {
    let lends = facts.store.is_some_and(|store| store.lends_transactions);
    (facts.policy.transactional && !lends).then(|| Mismatch {
        setting: "transactional",
        found: "on".into(),
        needed: "a store that lends transactions".into(),
        why: "the handler would find none",
    })
}

fn lease_too_short(facts: &Facts) -> Option<Mismatch> {
    let lease = facts.policy.lease;
    (facts.store.is_some() && lease < SHORTEST_LEASE).then(|| Mismatch {
        setting: "lease",
        found: said(lease),
        needed: format!("at least {}", said(SHORTEST_LEASE)),
        why: "it is renewed at a third of its length, over the network",
    })
}

fn lease_beyond_cap(facts: &Facts) -> Option<Mismatch> {
    let (lease, cap) = (facts.policy.lease, facts.policy.lease_cap);
    let cap_is_sound = cap > facts.policy.longest_attempt();
    (facts.store.is_some() && cap_is_sound && lease > cap).then(|| Mismatch {
        setting: "lease",
        found: said(lease),
        needed: format!("at most the lease_cap, {}", said(cap)),
        why: "the cap is its longest time with all renewals",
    })
}

fn lease_cap_within_timeout(facts: &Facts) -> Option<Mismatch> {
    let attempt = facts.policy.longest_attempt();
    let cap = facts.policy.lease_cap;
    (facts.store.is_some() && cap <= attempt).then(|| Mismatch {
        setting: "lease_cap",
        found: said(cap),
        needed: format!("more than timeout and grace together, {}", said(attempt)),
        why: "a healthy attempt would lose its lease",
    })
}

fn retention_within_retries(facts: &Facts) -> Option<Mismatch> {
    let (retention, window) = (facts.policy.retention, retry_window(facts));
    (facts.store.is_some() && retention <= window).then(|| Mismatch {
        setting: "retention",
        found: said(retention),
        needed: format!(
            "more than all retries and a lease take, {}, and as long as you redrive",
            said(window)
        ),
        why: "a duplicate that comes after its record is gone runs again",
    })
}

fn retention_within_redrive(facts: &Facts) -> Option<Mismatch> {
    /// A dead letter of Friday evening is looked at after a long weekend.
    const REDRIVE_WINDOW: Duration = Duration::from_secs(4 * 24 * 60 * 60);
    let (retention, window) = (facts.policy.retention, retry_window(facts));
    let needed = window.saturating_add(REDRIVE_WINDOW);
    (facts.store.is_some() && retention > window && retention < needed).then(|| Mismatch {
        setting: "retention",
        found: said(retention),
        needed: format!("{}: the retries, and the days until somebody redrives", said(needed)),
        why: "a duplicate, or a dead letter that is put back, runs again once its record is gone",
    })
}

fn uncounted_attempts(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    (facts.store.is_none() && !source.counts_deliveries).then(|| Mismatch {
        setting: "store",
        found: "not set, on a broker that does not count deliveries".into(),
        needed: "a store and a dedup_key".into(),
        why: "a message that kills the process is nowhere counted: it kills every process that \
              comes after, for ever",
    })
}

fn forgetful_store(facts: &Facts) -> Option<Mismatch> {
    facts.store.is_some_and(|store| !store.is_durable).then(|| Mismatch {
        setting: "store",
        found: "in the memory of this process".into(),
        needed: "a durable store".into(),
        why: "after a restart, and in every other process, duplicates run again",
    })
}

fn fragile_lease(facts: &Facts) -> Option<Mismatch> {
    const SHORTEST: Duration = Duration::from_secs(5);
    let lease = facts.policy.lease;
    let is_fragile = (SHORTEST_LEASE..SHORTEST).contains(&lease);
    (facts.store.is_some() && is_fragile).then(|| Mismatch {
        setting: "lease",
        found: said(lease),
        needed: format!("at least {}", said(SHORTEST)),
        why: "a blocked thread or a slow database for a moment loses it, and the message begins \
              again elsewhere",
    })
}

fn slow_takeover(facts: &Facts) -> Option<Mismatch> {
    const LONGEST: Duration = Duration::from_secs(5 * 60);
    let lease = facts.policy.lease;
    let within_cap = lease <= facts.policy.lease_cap;
    (facts.store.is_some() && lease > LONGEST && within_cap).then(|| Mismatch {
        setting: "lease",
        found: said(lease),
        needed: format!("at most {}: it is renewed for as long as the handler runs", said(LONGEST)),
        why: "what a killed process was working on waits for so long before anybody may take it",
    })
}

fn long_transactions(facts: &Facts) -> Option<Mismatch> {
    const LONGEST: Duration = Duration::from_secs(2 * 60);
    let timeout = facts.policy.timeout;
    (facts.policy.transactional && timeout > LONGEST).then(|| Mismatch {
        setting: "timeout",
        found: format!("{}, with a transaction open", said(timeout)),
        needed: format!("at most {}", said(LONGEST)),
        why: "an open transaction keeps its locks and its connection, and holds vacuum back in \
              the whole database",
    })
}

const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// The longest time between the first claim and the last.
fn retry_window(facts: &Facts) -> Duration {
    facts.policy.retry.window().saturating_add(facts.policy.lease)
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{DAY, HOUR, MINUTE, finds, passes, secs};
    use super::*;
    use crate::{Backoff, Retry, consumer::check::facts::StoreFacts};

    #[test]
    fn a_store_and_a_key_go_together() {
        finds("store-without-key", |sample| sample.dedup_by = None);
        finds("key-without-store", |sample| sample.store = None);
        passes(super::super::super::sample::Sample::forget_everything);
    }

    #[test]
    fn a_transaction_is_lent_by_a_store() {
        finds("transactions-without-store", |sample| {
            sample.policy.transactional = true;
            sample.store = Some(StoreFacts { lends_transactions: false, is_durable: true });
        });
        finds("transactions-without-store", |sample| {
            sample.policy.transactional = true;
            sample.forget_everything();
        });
        passes(|sample| sample.policy.transactional = true);
    }

    #[test]
    fn a_lease_can_be_renewed_in_time() {
        finds("lease-too-short", |sample| sample.policy.lease = Duration::from_millis(99));
        finds("fragile-lease", |sample| sample.policy.lease = Duration::from_millis(100));
        finds("fragile-lease", |sample| sample.policy.lease = Duration::from_millis(4999));
        passes(|sample| sample.policy.lease = secs(5));
        passes(|sample| {
            sample.forget_everything();
            sample.policy.lease = Duration::ZERO;
        });
    }

    #[test]
    fn a_lease_is_within_its_cap() {
        finds("lease-beyond-cap", |sample| sample.policy.lease = secs(HOUR + 1));
    }

    #[test]
    fn a_healthy_attempt_keeps_its_lease() {
        finds("lease-cap-within-timeout", |sample| sample.policy.lease_cap = secs(32));
        passes(|sample| sample.policy.lease_cap = secs(33));
    }

    #[test]
    fn a_killed_process_does_not_keep_its_messages_for_long() {
        finds("slow-takeover", |sample| sample.policy.lease = secs(5 * MINUTE + 1));
        passes(|sample| sample.policy.lease = secs(5 * MINUTE));
    }

    #[test]
    fn a_record_outlives_its_retries_and_its_redrive() {
        let hourly = || Retry::with_backoff(Backoff::fixed(secs(HOUR)));
        finds("retention-within-retries", |sample| {
            sample.policy.retry = hourly();
            sample.policy.retention = secs(4 * HOUR + 30);
        });
        finds("retention-within-redrive", |sample| {
            sample.policy.retry = hourly();
            sample.policy.retention = secs(4 * DAY + 4 * HOUR + 29);
        });
        passes(|sample| {
            sample.policy.retry = hourly();
            sample.policy.retention = secs(4 * DAY + 4 * HOUR + 30);
        });
    }

    #[test]
    fn somebody_counts_the_attempts() {
        finds("uncounted-attempts", |sample| {
            sample.forget_everything();
            sample.source.counts_deliveries = false;
        });
        passes(|sample| sample.source.counts_deliveries = false);
    }

    #[test]
    fn a_store_outlives_the_process() {
        finds("forgetful-store", |sample| {
            sample.store = Some(StoreFacts { lends_transactions: true, is_durable: false });
        });
    }

    #[test]
    fn a_transaction_does_not_stay_open_for_long() {
        finds("long-transactions", |sample| {
            sample.policy.transactional = true;
            sample.policy.timeout = secs(2 * MINUTE + 1);
        });
        passes(|sample| sample.policy.timeout = secs(2 * MINUTE + 1));
    }
}
