//! What a claim is answered.

use std::time::Duration;

use steadfast::{
    History,
    store::{Answer, State, Written},
};

use crate::store::{Records, StoreHarness, Write, records::granted};

pub async fn a_fresh_record_is_granted_with_one_attempt(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let claim = records.claim_of(&records.id("fresh"));
    let grant = granted(records.ask(&claim).await);
    assert_eq!(grant.token.owner, claim.owner);
    assert_eq!((grant.attempts, grant.history), (1, History::default()));
}

/// Counting must be durable before the handler runs (P6): it is, if anybody can see it.
pub async fn a_claim_is_counted_before_it_ends(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("counted");
    let grant = records.granted(&id).await;
    let record = records.record(&id).await;
    assert_eq!((record.state, record.attempts), (State::InProgress, 1));
    assert_eq!(record.fence, grant.token.fence);
}

pub async fn a_done_record_answers_done(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("done");
    records.ended(&id, &Write::Complete).await;
    assert_eq!(records.claim(&id).await, Answer::Done);
    records.outlive_the_lease().await;
    assert_eq!(records.claim(&id).await, Answer::Done, "the lease has nothing to do with it");
}

pub async fn a_record_in_progress_answers_busy_for_the_rest_of_its_lease(
    harness: &impl StoreHarness,
) {
    let records = Records::new(harness).await;
    let (id, lease) = (records.id("busy"), records.lease());
    records.granted(&id).await;
    assert_remaining(busy(records.claim(&id).await), lease, lease);
    records.pass(lease / 2).await;
    assert_remaining(busy(records.claim(&id).await), lease / 2, lease);
}

pub async fn a_failed_record_answers_not_yet_for_the_rest_of_its_wait(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (id, wait) = (records.id("waiting"), records.lease());
    records.ended(&id, &Write::fail_for(wait)).await;
    assert_remaining(not_yet(records.claim(&id).await), wait, wait);
    records.pass(wait / 2).await;
    assert_remaining(not_yet(records.claim(&id).await), wait / 2, wait);
}

pub async fn a_failed_record_is_granted_when_it_is_due(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (id, wait) = (records.id("due"), records.lease());
    let first = records.ended(&id, &Write::fail_for(wait)).await;
    records.pass(wait).await;
    let second = records.granted(&id).await;
    assert_eq!(second.attempts, 2);
    assert!(second.token.fence > first.fence);
}

pub async fn a_dead_record_answers_dead_with_its_last_fence(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("dead");
    records.ended(&id, &Write::fail()).await;
    let last = records.ended(&id, &Write::bury()).await;
    assert_eq!(records.claim(&id).await, Answer::Dead { fence: last.fence });
    records.outlive_the_lease().await;
    assert_eq!(records.claim(&id).await, Answer::Dead { fence: last.fence });
}

/// The reply to the first was lost: asking again must not cost an attempt, nor wait for a lease
/// that is one's own.
pub async fn the_same_owner_asking_again_gets_the_same_claim(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let claim = records.claim_of(&records.id("asked twice"));
    let first = granted(records.ask(&claim).await);
    assert_eq!(granted(records.ask(&claim).await), first);
    records.outlive_the_lease().await;
    assert_eq!(granted(records.ask(&claim).await), first, "nobody took it over");
}

pub async fn asking_again_renews_the_lease(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let claim = records.claim_of(&records.id("renewed by asking"));
    granted(records.ask(&claim).await);
    records.pass(records.lease() / 2).await;
    granted(records.ask(&claim).await);
    records.pass(records.lease() * 3 / 4).await;
    busy(records.claim(&claim.id).await);
}

pub async fn an_owner_that_was_taken_over_waits_like_anybody(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let claim = records.claim_of(&records.id("late repeat"));
    granted(records.ask(&claim).await);
    records.outlive_the_lease().await;
    let owner = records.granted(&claim.id).await.token;
    busy(records.ask(&claim).await);
    let written = records.write(&Write::Complete, &claim.id, &owner).await;
    assert_eq!(written, Written::Applied, "the repeat must not disturb the owner");
    assert_eq!(records.ask(&claim).await, Answer::Done);
}

fn busy(answer: Answer) -> Duration {
    match answer {
        Answer::Busy(remaining) => remaining,
        other => panic!("the record is held by another owner, and the claim is answered {other:?}"),
    }
}

fn not_yet(answer: Answer) -> Duration {
    match answer {
        Answer::NotYet(remaining) => remaining,
        other => panic!("the record is not due, and the claim is answered {other:?}"),
    }
}

/// A real clock goes on during the calls: a quarter of the whole is given for them.
fn assert_remaining(remaining: Duration, expected: Duration, whole: Duration) {
    assert!(
        remaining <= expected && remaining + whole / 4 > expected,
        "{expected:?} of {whole:?} remain, and the store says {remaining:?}"
    );
}
