//! What tells messages apart.

use super::{Check::Policy, Check::Source, DedupBy, Facts, Mismatch, Rule};
use crate::{OrderedBy, broker::Capabilities};

pub(super) const RULES: [Rule; 4] = [
    Rule::error("order-by-dedup-key", Policy(order_by_dedup_key)),
    Rule::error("unstable-message-ids", Source(unstable_message_ids)),
    Rule::warning("broker-message-ids", Source(broker_message_ids)),
    Rule::warning("dedup-by-order-key", Source(dedup_by_order_key)),
];

/// Where every message has a key of its own, as a dedup key must be, no two are ever in order.
fn order_by_dedup_key(facts: &Facts) -> Option<Mismatch> {
    let same = match (&facts.dedup_by, &facts.policy.ordered_by) {
        (Some(DedupBy::Key), Some(OrderedBy::Key)) => true,
        (Some(DedupBy::Header(dedup)), Some(OrderedBy::Header(order))) => {
            dedup == order && !order.is_empty()
        }
        _ => false,
    };
    same.then(|| Mismatch {
        setting: "ordered_by",
        found: "the same as dedup_key".into(),
        needed: "another dedup_key, or no ordered_by".into(),
        why: "the second message of a key would be taken for a duplicate of the first",
    })
}

fn unstable_message_ids(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    (facts.dedup_by_message_id() && !source.stable_message_ids).then(|| Mismatch {
        setting: "dedup_key",
        found: "message_id".into(),
        needed: "a header or a field of the message".into(),
        why: "on this source a message gets a new id when it is copied or redriven",
    })
}

fn broker_message_ids(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    let by_broker = source.stable_message_ids && !source.ids_by_publisher;
    (facts.dedup_by_message_id() && by_broker).then(|| Mismatch {
        setting: "dedup_key",
        found: "message_id, which this broker gives".into(),
        needed: "a header or a field that the producer sets".into(),
        why: "a producer that sends a message again, because its confirmation was lost, gets \
              another id for it, and the duplicate runs",
    })
}

fn dedup_by_order_key(facts: &Facts, source: &Capabilities) -> Option<Mismatch> {
    let by_key = facts.dedup_by == Some(DedupBy::Key) && facts.policy.ordered_by.is_none();
    (by_key && source.ordered).then(|| Mismatch {
        setting: "dedup_key",
        found: "key, on a source that orders by it".into(),
        needed: "something that every message has for itself".into(),
        why: "where many messages share a key, as of one customer, all but the first are taken \
              for duplicates or conflicts",
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{Sample, finds, passes};
    use super::*;

    #[test]
    fn no_duplicate_is_in_order() {
        let header = || "customer".to_owned();
        finds("order-by-dedup-key", |sample| {
            sample.source.ordered = true;
            sample.dedup_by = Some(DedupBy::Key);
            sample.policy.ordered_by = Some(OrderedBy::Key);
        });
        finds("order-by-dedup-key", |sample| {
            sample.source.ordered = true;
            sample.dedup_by = Some(DedupBy::Header(header()));
            sample.policy.ordered_by = Some(OrderedBy::Header(header()));
        });
        passes(|sample| {
            sample.source.ordered = true;
            sample.dedup_by = Some(DedupBy::Header("delivery".into()));
            sample.policy.ordered_by = Some(OrderedBy::Header(header()));
        });
    }

    fn by_message_id(change: impl FnOnce(&mut Capabilities)) -> impl FnOnce(&mut Sample) {
        |sample| {
            sample.dedup_by = Some(DedupBy::MessageId);
            change(&mut sample.source);
        }
    }

    #[test]
    fn a_message_keeps_its_id() {
        for by_publisher in [true, false] {
            let unstable = by_message_id(|source| {
                source.stable_message_ids = false;
                source.ids_by_publisher = by_publisher;
            });
            finds("unstable-message-ids", unstable);
        }
        passes(by_message_id(|_| {}));
    }

    #[test]
    fn a_message_that_is_sent_twice_has_one_id() {
        finds("broker-message-ids", by_message_id(|source| source.ids_by_publisher = false));
        passes(|sample| sample.source.ids_by_publisher = false);
    }

    #[test]
    fn a_key_is_of_one_message() {
        finds("dedup-by-order-key", |sample| {
            sample.source.ordered = true;
            sample.policy.concurrency = 1;
            sample.dedup_by = Some(DedupBy::Key);
        });
        passes(|sample| sample.dedup_by = Some(DedupBy::Key));
    }
}
