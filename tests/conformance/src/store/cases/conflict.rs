//! One key, two payloads: never silently a duplicate.

use bytes::Bytes;
use steadfast::store::{Answer, Digest, RecordId, Written};

use crate::store::{Records, StoreHarness, Write, records::granted};

pub async fn another_payload_is_a_conflict_while_the_record_is_in_progress(
    harness: &impl StoreHarness,
) {
    let records = Records::new(harness).await;
    let id = records.id("in progress");
    let token = records.granted(&id).await.token;
    conflicts(&records, &id).await;
    records.applied(&Write::Complete, &id, &token).await;
}

pub async fn another_payload_is_a_conflict_after_the_lease(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("lease over");
    records.granted(&id).await;
    records.outlive_the_lease().await;
    conflicts(&records, &id).await;
}

pub async fn another_payload_is_a_conflict_while_the_record_waits(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("waiting");
    records.ended(&id, &Write::fail_for(records.lease())).await;
    conflicts(&records, &id).await;
}

pub async fn another_payload_is_a_conflict_when_the_record_is_due(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("due");
    records.ended(&id, &Write::fail()).await;
    conflicts(&records, &id).await;
    records.ended(&id, &Write::Release).await;
    conflicts(&records, &id).await;
}

pub async fn another_payload_is_a_conflict_when_the_record_is_done(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("done");
    records.ended(&id, &Write::Complete).await;
    conflicts(&records, &id).await;
}

pub async fn another_payload_is_a_conflict_when_the_record_is_dead(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("dead");
    records.ended(&id, &Write::bury()).await;
    conflicts(&records, &id).await;
}

/// A tombstone and an empty message are two messages.
pub async fn an_absent_payload_is_not_an_empty_one(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (mut absent, mut empty) = two(&records, "tombstone");
    absent.digest = Digest::of(None);
    empty.digest = Digest::of(Some(&Bytes::new()));
    granted(records.ask(&absent).await);
    assert_eq!(records.ask(&empty).await, Answer::Conflict);
    granted(records.ask(&absent).await);
}

/// Whoever redrives may have repaired the payload.
pub async fn a_rearmed_record_takes_another_payload_and_keeps_to_it(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (broken, repaired) = two(&records, "repaired");
    let token = granted(records.ask(&broken).await).token;
    records.applied(&Write::bury(), &broken.id, &token).await;
    assert_eq!(records.rearm(&broken.id, None).await, Written::Applied);
    granted(records.ask(&repaired).await);
    assert_eq!(records.claim(&broken.id).await, Answer::Conflict);
}

pub async fn an_expired_record_takes_another_payload_and_keeps_to_it(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (mut old, new) = two(&records, "used again");
    old.retention = records.lease();
    let token = granted(records.ask(&old).await).token;
    records.applied(&Write::Complete, &old.id, &token).await;
    records.pass(old.retention).await;
    granted(records.ask(&new).await);
    assert_eq!(records.claim(&old.id).await, Answer::Conflict);
}

/// Claims of one record with two payloads.
fn two(
    records: &Records<'_, impl StoreHarness>,
    key: &'static str,
) -> (steadfast::store::Claim, steadfast::store::Claim) {
    let id = records.id(key);
    (records.claim_of(&id), records.claim_of_another_payload(&id))
}

async fn conflicts(records: &Records<'_, impl StoreHarness>, id: &RecordId) {
    let before = records.record(id).await;
    let answer = records.ask(&records.claim_of_another_payload(id)).await;
    assert_eq!(answer, Answer::Conflict);
    assert_eq!(records.record(id).await, before, "a conflict changes nothing");
}
