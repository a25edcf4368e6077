//! Times of no length, and of more length than a clock can hold.

use std::time::Duration;

use steadfast::store::{Answer, Note, Written};

use crate::store::{Records, StoreHarness, Write, records::granted};

/// Nobody waits this long, and every store can say it.
const LONG: Duration = Duration::from_secs(365 * 24 * 3600);

pub async fn a_lease_of_no_length_can_be_taken_over_at_once(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let mut claim = records.claim_of(&records.id("no lease"));
    claim.lease = Duration::ZERO;
    let stale = granted(records.ask(&claim).await).token;
    let owner = records.granted(&claim.id).await;
    assert_eq!(owner.attempts, 2);
    let written = records.write(&Write::Complete, &claim.id, &stale).await;
    assert_eq!(written, Written::Fenced);
    records.applied(&Write::Complete, &claim.id, &owner.token).await;
}

pub async fn an_extension_of_no_length_ends_the_lease(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("cut short");
    records.ended(&id, &Write::Extend(Duration::ZERO)).await;
    assert_eq!(records.granted(&id).await.attempts, 2);
}

pub async fn a_failure_with_no_wait_is_due_at_once(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("no wait");
    records.ended(&id, &Write::fail_for(Duration::ZERO)).await;
    assert_eq!(records.granted(&id).await.attempts, 2);
}

pub async fn a_retention_of_no_length_is_over_at_once(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let mut claim = records.claim_of(&records.id("no retention"));
    claim.retention = Duration::ZERO;
    let token = granted(records.ask(&claim).await).token;
    records.applied(&Write::Complete, &claim.id, &token).await;
    assert_eq!(records.granted(&claim.id).await.attempts, 1);
}

pub async fn the_longest_lease_does_not_overflow(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let mut claim = records.claim_of(&records.id("for ever"));
    claim.lease = Duration::MAX;
    let first = granted(records.ask(&claim).await);
    assert_eq!(granted(records.ask(&claim).await), first);
    assert!(matches!(records.claim(&claim.id).await, Answer::Busy(remaining) if remaining > LONG));
    records.outlive_the_lease().await;
    assert!(matches!(records.claim(&claim.id).await, Answer::Busy(_)));
    records.applied(&Write::Complete, &claim.id, &first.token).await;
}

pub async fn the_longest_takeover_does_not_overflow(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("taken for ever");
    records.granted(&id).await;
    records.outlive_the_lease().await;
    let mut claim = records.claim_of(&id);
    claim.lease = Duration::MAX;
    assert_eq!(granted(records.ask(&claim).await).attempts, 2);
    assert!(matches!(records.claim(&id).await, Answer::Busy(remaining) if remaining > LONG));
}

pub async fn the_longest_extension_does_not_overflow(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("extended for ever");
    records.ended(&id, &Write::Extend(Duration::MAX)).await;
    assert!(matches!(records.claim(&id).await, Answer::Busy(remaining) if remaining > LONG));
}

pub async fn the_longest_wait_does_not_overflow(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("never due");
    let failure = Write::Fail { after: Duration::MAX, note: Note::new("throttled") };
    records.ended(&id, &failure).await;
    assert!(matches!(records.claim(&id).await, Answer::NotYet(remaining) if remaining > LONG));
}

pub async fn the_longest_retention_does_not_overflow(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    for end in [Write::Complete, Write::bury()] {
        let mut claim = records.claim_of(&records.id(format!("{end}, kept for ever")));
        claim.retention = Duration::MAX;
        let token = granted(records.ask(&claim).await).token;
        records.applied(&end, &claim.id, &token).await;
        records.outlive_the_lease().await;
        assert_eq!(records.record(&claim.id).await.state, end.leads_to());
    }
    assert_eq!(records.reap(100).await, 0);
}
