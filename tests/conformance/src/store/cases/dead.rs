//! Records in the dead letters, and on their way back.

use steadfast::store::{Answer, State, Written};

use crate::store::{Records, StoreHarness, Write, records::granted};

pub async fn duplicates_of_a_dead_letter_do_not_run(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let claim = records.claim_of(&records.id("dead"));
    let token = granted(records.ask(&claim).await).token;
    records.applied(&Write::bury(), &claim.id, &token).await;
    let dead = Answer::Dead { fence: token.fence };
    assert_eq!(records.ask(&claim).await, dead, "its own owner");
    assert_eq!(records.claim(&claim.id).await, dead, "a newcomer");
}

pub async fn a_burial_keeps_what_failed(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("with its story");
    records.ended(&id, &Write::fail()).await;
    let first = records.record(&id).await.history;
    records.ended(&id, &Write::bury()).await;
    let record = records.record(&id).await;
    assert_eq!((record.state, record.attempts, record.redrives), (State::Dead, 2, 0));
    assert_eq!(record.history.first_failed, first.first_failed);
    assert_eq!(record.history.last_error.as_deref(), Some("permanent: no such account"));
}

pub async fn a_rearmed_record_runs_again_from_the_first_attempt(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("redriven");
    records.ended(&id, &Write::fail()).await;
    let fence = records.ended(&id, &Write::bury()).await.fence;
    assert_eq!(records.rearm(&id, None).await, Written::Applied);
    let record = records.record(&id).await;
    assert_eq!((record.state, record.attempts, record.redrives), (State::Failed, 0, 1));
    assert_eq!(record.fence, fence, "re-arming is no claim");
    let grant = records.granted(&id).await;
    assert_eq!(grant.attempts, 1);
    assert!(grant.token.fence > fence);
}

pub async fn a_rearmed_record_keeps_its_story(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("redriven with its story");
    records.ended(&id, &Write::bury()).await;
    let before = records.record(&id).await.history;
    assert_eq!(records.rearm(&id, None).await, Written::Applied);
    assert_eq!(records.granted(&id).await.history, before);
}

pub async fn only_a_dead_record_can_be_rearmed(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let absent = records.id("absent");
    assert_eq!(records.rearm(&absent, None).await, Written::Fenced);
    assert_eq!(records.look(&absent).await, None);
    let others = Write::all(records.lease()).into_iter().filter(|end| *end != Write::bury());
    for end in others {
        let id = records.id(format!("not dead after {end}"));
        let fence = records.ended(&id, &end).await.fence;
        let before = records.record(&id).await;
        assert_eq!(records.rearm(&id, None).await, Written::Fenced, "after {end}");
        assert_eq!(records.rearm(&id, Some(fence)).await, Written::Fenced, "after {end}");
        assert_eq!(records.record(&id).await, before);
    }
}

pub async fn a_dead_letter_that_comes_twice_rearms_once(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("came twice");
    let fence = records.ended(&id, &Write::bury()).await.fence;
    assert_eq!(records.rearm(&id, Some(fence)).await, Written::Applied);
    assert_eq!(records.rearm(&id, Some(fence)).await, Written::Fenced);
    assert_eq!(records.record(&id).await.redrives, 1);
}

/// The older of two dead letters of one message must not start the message that the younger tells of.
pub async fn a_dead_letter_of_an_earlier_death_rearms_nothing(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("died twice");
    let first = records.ended(&id, &Write::bury()).await.fence;
    assert_eq!(records.rearm(&id, Some(first)).await, Written::Applied);
    let second = records.ended(&id, &Write::bury()).await.fence;
    assert_eq!(records.rearm(&id, Some(first)).await, Written::Fenced);
    assert_eq!(records.record(&id).await.state, State::Dead);
    assert_eq!(records.rearm(&id, Some(second)).await, Written::Applied);
    assert_eq!(records.record(&id).await.redrives, 2);
}
