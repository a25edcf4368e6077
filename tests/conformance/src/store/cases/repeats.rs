//! A call whose reply was lost is made again.

use steadfast::store::Written;

use crate::store::{Records, StoreHarness, Write};

pub async fn a_completion_may_be_repeated(harness: &impl StoreHarness) {
    may_be_repeated(harness, &Write::Complete).await;
}

pub async fn a_failure_may_be_repeated(harness: &impl StoreHarness) {
    may_be_repeated(harness, &Write::fail()).await;
}

/// It gives back one attempt, not two.
pub async fn a_release_may_be_repeated(harness: &impl StoreHarness) {
    may_be_repeated(harness, &Write::Release).await;
}

pub async fn a_burial_may_be_repeated(harness: &impl StoreHarness) {
    may_be_repeated(harness, &Write::bury()).await;
}

pub async fn an_extension_may_be_repeated(harness: &impl StoreHarness) {
    may_be_repeated(harness, &Write::Extend(harness.lease())).await;
}

/// The second attempt is the one to look at: giving back too much would go below 1 here.
async fn may_be_repeated(harness: &impl StoreHarness, write: &Write) {
    let records = Records::new(harness).await;
    let id = records.id("repeated");
    records.ended(&id, &Write::fail()).await;
    let token = records.ended(&id, write).await;
    let before = records.record(&id).await;
    for _ in 0..2 {
        records.applied(write, &id, &token).await;
        assert_eq!(records.record(&id).await, before, "a repeat changes nothing");
    }
}

/// A failure is not due anew with each repeat.
pub async fn a_repeated_failure_does_not_begin_its_wait_again(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (id, wait) = (records.id("waits once"), records.lease());
    let failure = Write::fail_for(wait);
    let token = records.ended(&id, &failure).await;
    records.pass(wait / 2).await;
    records.applied(&failure, &id, &token).await;
    records.pass(wait / 2).await;
    assert_eq!(records.granted(&id).await.attempts, 2);
}

/// The repeat comes when the record is in other hands.
pub async fn a_repeat_that_comes_too_late_does_not_disturb_the_next_owner(
    harness: &impl StoreHarness,
) {
    let records = Records::new(harness).await;
    for write in [Write::fail(), Write::Release] {
        let id = records.id(format!("late {write}"));
        let token = records.ended(&id, &write).await;
        let next = records.granted(&id).await.token;
        let before = records.record(&id).await;
        assert_eq!(records.write(&write, &id, &token).await, Written::Fenced);
        assert_eq!(records.record(&id).await, before);
        records.applied(&Write::Complete, &id, &next).await;
    }
}
