//! What every rule says, word for word.

use std::time::Duration;

use super::{
    facts::{DedupBy, StoreFacts},
    rules,
    sample::{DAY, HOUR, MINUTE, Sample, secs},
};
use crate::{Backoff, BreakerPolicy, OrderedBy, Retry, broker::Hold};

/// One finding of each rule.
const WORDS: &str = include_str!("words.txt");

type Spoil = fn(&mut Sample);

#[test]
fn every_rule_says_what_it_has_always_said() {
    let said: Vec<_> = SPOILT.iter().flat_map(|spoil| Sample::spoilt(spoil)).collect();
    let names: Vec<_> = said.iter().map(|finding| finding.rule).collect();
    assert_eq!(names, rules::all().map(|rule| rule.name).collect::<Vec<_>>());
    let words: String = said.iter().map(|finding| format!("{finding}\n")).collect();
    assert!(words == WORDS, "if it is meant so, these are the new words:\n{words}");
}

/// What each rule finds, in the order of the rules.
const SPOILT: [Spoil; 51] = [
    // Names and destinations.
    |sample| sample.policy.name = "a name".into(),
    |sample| sample.policy.group.clear(),
    |sample| sample.policy.source.clear(),
    |sample| sample.policy.dead_letter.clear(),
    |sample| sample.policy.dead_letter = "source".into(),
    |sample| sample.dedup_by = Some(DedupBy::Header(String::new())),
    |sample| sample.refused = [Some("there is no queue `source`: create it"), None],
    |sample| sample.refused = [None, Some("there is no queue `dead`: create it")],
    // How much at once.
    |sample| (sample.policy.concurrency, sample.policy.max_in_flight) = (0, Some(1)),
    |sample| (sample.policy.concurrency, sample.policy.max_in_flight) = (8, Some(7)),
    |sample| sample.policy.max_in_flight_bytes = 0,
    |sample| sample.policy.limits.payload = 0,
    |sample| sample.policy.waiting_share = 1.5,
    |sample| sample.policy.max_in_flight_bytes = 64,
    // Attempts and their end.
    |sample| sample.policy.retry = Retry::default().max_attempts(0),
    |sample| sample.policy.timeout = Duration::ZERO,
    |sample| sample.policy.retry = Retry::with_backoff(Backoff::exponential(secs(30), secs(3))),
    |sample| sample.policy.retry = every(secs(10)).max_age(secs(10)),
    |sample| sample.policy.breaker = BreakerPolicy::default().failure_ratio(1.5, 10),
    |sample| sample.policy.stalled_after = Duration::from_millis(999),
    |sample| sample.policy.retry = Retry::default().max_attempts(1),
    |sample| sample.policy.retry = every(Duration::from_millis(100)),
    |sample| sample.policy.drain = secs(MINUTE),
    // What is remembered.
    |sample| sample.dedup_by = None,
    |sample| sample.store = None,
    |sample| {
        sample.policy.transactional = true;
        sample.store = Some(StoreFacts { lends_transactions: false, is_durable: true });
    },
    |sample| sample.policy.lease = Duration::from_millis(99),
    |sample| sample.policy.lease = secs(2 * HOUR),
    |sample| sample.policy.lease_cap = secs(20),
    |sample| {
        sample.policy.retry = every(secs(HOUR));
        sample.policy.retention = secs(4 * HOUR);
    },
    |sample| sample.policy.retention = secs(2 * DAY),
    |sample| {
        sample.forget_everything();
        sample.source.counts_deliveries = false;
    },
    |sample| sample.store = Some(StoreFacts { lends_transactions: true, is_durable: false }),
    |sample| sample.policy.lease = secs(2),
    |sample| sample.policy.lease = secs(10 * MINUTE),
    |sample| {
        sample.policy.transactional = true;
        sample.policy.timeout = secs(5 * MINUTE);
    },
    // What tells messages apart.
    |sample| {
        sample.source.ordered = true;
        sample.dedup_by = Some(DedupBy::Key);
        sample.policy.ordered_by = Some(OrderedBy::Key);
    },
    |sample| {
        sample.dedup_by = Some(DedupBy::MessageId);
        sample.source.stable_message_ids = false;
    },
    |sample| {
        sample.dedup_by = Some(DedupBy::MessageId);
        sample.source.ids_by_publisher = false;
    },
    |sample| {
        sample.source.ordered = true;
        sample.policy.concurrency = 1;
        sample.dedup_by = Some(DedupBy::Key);
    },
    // Order.
    |sample| sample.policy.ordered_by = Some(OrderedBy::Key),
    |sample| sample.source.ordered = true,
    |sample| {
        sample.source.max_delay = None;
        sample.policy.retry = every(secs(HOUR));
    },
    // The broker's patience.
    |sample| sample.source.delivery_limit = Some(9),
    |sample| {
        sample.source.hold = Hold::Fixed(secs(30 * MINUTE));
        sample.policy.timeout = secs(30 * MINUTE);
    },
    |sample| {
        sample.source.hold = Hold::Fixed(secs(30 * MINUTE));
        sample.policy.timeout = secs(6 * MINUTE);
        sample.policy.retry = every(secs(1)).in_place_up_to(secs(1));
        sample.policy.max_in_flight = Some(16);
    },
    |sample| {
        sample.source.hold = Hold::Fixed(secs(30 * MINUTE));
        sample.policy.timeout = secs(8 * MINUTE);
        sample.policy.retry = every(secs(1)).max_attempts(2);
    },
    |sample| {
        sample.forget_everything();
        sample.policy.timeout = secs(MINUTE);
    },
    // Acknowledgements.
    |sample| sample.policy.acknowledged = vec!["single-atempt".into()],
    |sample| sample.policy.acknowledged = vec!["no-attempts".into()],
    |sample| sample.policy.acknowledged = vec!["single-attempt".into()],
];

fn every(wait: Duration) -> Retry {
    Retry::with_backoff(Backoff::fixed(wait))
}
