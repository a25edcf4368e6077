//! A configuration with which nothing is wrong, for tests that spoil one thing of it.

use std::{sync::Arc, time::Duration};

use super::{
    Facts, Finding, Seen,
    facts::{DedupBy, StoreFacts},
    found,
};
use crate::{
    broker::{Capabilities, Hold},
    consumer::policy::Policy,
};

pub(super) struct Sample {
    pub(super) policy: Policy,
    pub(super) store: Option<StoreFacts>,
    pub(super) dedup_by: Option<DedupBy>,
    pub(super) dead_letters_elsewhere: bool,
    pub(super) source: Capabilities,
    /// What the broker says to the subscription, and to the dead letter destination.
    pub(super) refused: [Option<&'static str>; 2],
}

pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

impl Sample {
    /// The defaults, on a broker that can do everything, with a durable store.
    fn sound() -> Self {
        let mut policy = Policy::new("name".into());
        policy.source = "source".into();
        policy.group = "group".into();
        policy.dead_letter = "dead".into();
        let source = Capabilities {
            counts_deliveries: true,
            stable_message_ids: true,
            ids_by_publisher: true,
            max_delay: Some(Duration::MAX),
            hold: Hold::Extendable { each: secs(30), total: Some(secs(12 * HOUR)) },
            ..Capabilities::default()
        };
        Self {
            policy,
            store: Some(StoreFacts { lends_transactions: true, is_durable: true }),
            dedup_by: Some(DedupBy::Function),
            dead_letters_elsewhere: false,
            source,
            refused: [None; 2],
        }
    }

    pub(super) fn forget_everything(&mut self) {
        self.store = None;
        self.dedup_by = None;
    }

    pub(super) fn spoilt(change: impl FnOnce(&mut Self)) -> Vec<Finding> {
        let mut sample = Self::sound();
        change(&mut sample);
        let Self { policy, store, dedup_by, dead_letters_elsewhere, source, refused } = sample;
        let facts = Facts { policy: Arc::new(policy), store, dedup_by, dead_letters_elsewhere };
        let [subscription, destination] = refused;
        let seen = Seen {
            source: subscription.map_or(Ok(&source), Err),
            destination: destination.map_or(Ok(()), Err),
        };
        found(&facts, Some(&seen))
    }
}

fn rules(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.rule).collect()
}

/// Expects that this change breaks this rule and no other.
#[track_caller]
pub(super) fn finds(rule: &str, change: impl FnOnce(&mut Sample)) {
    assert_eq!(rules(&Sample::spoilt(change)), [rule]);
}

/// Expects that this change breaks nothing.
#[track_caller]
pub(super) fn passes(change: impl FnOnce(&mut Sample)) {
    assert_eq!(rules(&Sample::spoilt(change)), [""; 0]);
}

#[test]
fn the_defaults_with_a_durable_store_are_sound() {
    passes(|_| {});
}
