//! A stale owner can change nothing (P3).

use steadfast::store::{Owner, Token, Written};

use crate::store::{Records, StoreHarness, Write};

pub async fn a_stale_owner_cannot_complete(harness: &impl StoreHarness) {
    a_stale_owner_cannot(harness, &Write::Complete).await;
}

pub async fn a_stale_owner_cannot_fail(harness: &impl StoreHarness) {
    a_stale_owner_cannot(harness, &Write::fail_for(harness.lease())).await;
}

pub async fn a_stale_owner_cannot_release(harness: &impl StoreHarness) {
    a_stale_owner_cannot(harness, &Write::Release).await;
}

pub async fn a_stale_owner_cannot_bury(harness: &impl StoreHarness) {
    a_stale_owner_cannot(harness, &Write::bury()).await;
}

pub async fn a_stale_owner_cannot_extend(harness: &impl StoreHarness) {
    a_stale_owner_cannot(harness, &Write::Extend(harness.lease() * 8)).await;
}

/// Pauses an owner beyond its lease, lets another take over, and wakes the first up.
async fn a_stale_owner_cannot(harness: &impl StoreHarness, write: &Write) {
    let records = Records::new(harness).await;
    let id = records.id("taken over");
    let stale = records.granted(&id).await.token;
    records.outlive_the_lease().await;
    let owner = records.granted(&id).await.token;

    let before = records.record(&id).await;
    assert_eq!(records.write(write, &id, &stale).await, Written::Fenced);
    assert_eq!(records.record(&id).await, before, "a fenced write changes nothing");

    records.outlive_the_lease().await;
    let last = records.granted(&id).await;
    assert_eq!(last.attempts, 3, "the second owner's lease was its own");
    assert!(last.token.fence > owner.fence);
}

pub async fn a_stale_owner_changes_nothing_after_the_next_has_ended(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let mut stale = Vec::new();
    for end in Write::all(records.lease()) {
        let id = records.id(format!("to {end}"));
        let token = records.granted(&id).await.token;
        stale.push((id, token, end));
    }
    records.outlive_the_lease().await;
    for (id, token, end) in stale {
        records.ended(&id, &end).await;
        let before = records.record(&id).await;
        for write in &Write::all(records.lease()) {
            let written = records.write(write, &id, &token).await;
            assert_eq!(written, Written::Fenced, "{write} by the first, after {end} by the second");
            assert_eq!(records.record(&id).await, before, "{write} after {end} changes nothing");
        }
    }
}

pub async fn a_stranger_can_change_nothing(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("held");
    let owner = records.granted(&id).await.token;
    let stranger = Token::new(Owner::random(), owner.fence);
    let before = records.record(&id).await;
    for write in &Write::all(records.lease()) {
        assert_eq!(records.write(write, &id, &stranger).await, Written::Fenced, "{write}");
    }
    assert_eq!(records.record(&id).await, before);
    records.applied(&Write::Complete, &id, &owner).await;
}

pub async fn a_write_to_an_absent_record_is_fenced_and_makes_none(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("absent");
    let token = Token::new(Owner::random(), 1);
    for write in &Write::all(records.lease()) {
        assert_eq!(records.write(write, &id, &token).await, Written::Fenced, "{write}");
    }
    assert_eq!(records.look(&id).await, None);
}

/// The first word counts: an owner that has completed cannot bury.
pub async fn a_record_that_has_ended_cannot_end_otherwise(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    for (number, end) in Write::all(records.lease()).iter().take(4).enumerate() {
        let id = records.id(format!("ended {number}"));
        let token = records.ended(&id, end).await;
        let before = records.record(&id).await;
        let others = Write::all(records.lease()).into_iter().filter(|other| other != end);
        for other in others {
            let written = records.write(&other, &id, &token).await;
            // What leads to the same state may pass for a repeat, as long as it changes nothing.
            if other.leads_to() != end.leads_to() {
                assert_eq!(written, Written::Fenced, "{other} after {end}");
            }
            assert_eq!(records.record(&id).await, before, "{other} after {end} changes nothing");
        }
    }
}

pub async fn fences_grow_with_every_claim_of_a_key(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("growing");
    let mut last = 0;
    for end in [Write::fail(), Write::Release, Write::Release, Write::fail(), Write::bury()] {
        let fence = records.ended(&id, &end).await.fence;
        assert!(fence > last, "{fence} after {last}");
        last = fence;
    }
    assert_eq!(records.rearm(&id, Some(last)).await, Written::Applied);
    assert!(records.granted(&id).await.token.fence > last, "after it was re-armed");
}
