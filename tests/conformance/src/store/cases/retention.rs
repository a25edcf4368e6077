//! How long a record is kept once it has ended.

use std::time::Duration;

use steadfast::{
    History,
    store::{Answer, RecordId, State, Token, Written},
};

use crate::store::{Records, StoreHarness, Write, records::granted};

pub async fn a_done_record_is_kept_for_its_retention(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (id, retention) = (records.id("kept"), records.lease());
    claimed_for(&records, &id, retention, &Write::Complete).await;
    records.pass(retention * 3 / 4).await;
    assert_eq!(records.claim(&id).await, Answer::Done);
}

/// A message that takes long must not be forgotten before its duplicates come.
pub async fn retention_begins_when_the_record_ends(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (id, lease) = (records.id("took long"), records.lease());
    let mut claim = records.claim_of(&id);
    claim.retention = lease;
    let token = granted(records.ask(&claim).await).token;
    records.pass(lease / 2).await;
    records.applied(&Write::Complete, &id, &token).await;
    records.pass(lease * 3 / 4).await;
    assert_eq!(records.claim(&id).await, Answer::Done);
}

/// Whether it has been reaped meanwhile must not show.
pub async fn an_expired_done_record_is_claimed_like_a_fresh_one(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (id, retention) = (records.id("expired"), records.lease());
    for end in [Write::fail(), Write::bury()] {
        claimed_for(&records, &id, retention, &end).await;
    }
    assert_eq!(records.rearm(&id, None).await, Written::Applied);
    let last = claimed_for(&records, &id, retention, &Write::Complete).await;
    records.pass(retention).await;

    let grant = records.granted(&id).await;
    assert_eq!((grant.attempts, grant.history), (1, History::default()));
    assert_eq!(records.record(&id).await.redrives, 0);
    assert!(grant.token.fence > last.fence);
}

pub async fn reaping_removes_records_that_expired_done_or_dead(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let done = expired(&records, "done", records.lease(), &Write::Complete).await;
    let dead = expired(&records, "dead", records.lease(), &Write::bury()).await;
    assert_eq!(records.reap(100).await, 2);
    assert_eq!(records.look(&done).await, None);
    assert_eq!(records.look(&dead).await, None);
    assert_eq!(records.reap(100).await, 0);
}

pub async fn reaping_removes_nothing_before_its_time(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    for end in [Write::Complete, Write::bury()] {
        let id = records.id(format!("{end}, not expired"));
        claimed_for(&records, &id, records.lease(), &end).await;
    }
    records.pass(records.lease() / 2).await;
    assert_eq!(records.reap(100).await, 0);
}

/// However old: attempts and fences of unfinished work must survive.
pub async fn reaping_removes_nothing_that_has_not_ended(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    for write in [Write::Extend(Duration::ZERO), Write::fail(), Write::Release] {
        let id = records.id(format!("unfinished, {write}"));
        claimed_for(&records, &id, Duration::ZERO, &write).await;
    }
    records.pass(records.lease() * 2).await;
    assert_eq!(records.reap(100).await, 0);
}

pub async fn reaping_stops_at_its_limit(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    for number in 0..5 {
        let id = records.id(format!("expired {number}"));
        claimed_for(&records, &id, Duration::ZERO, &Write::Complete).await;
    }
    let removed = [records.reap(0).await, records.reap(2).await, records.reap(2).await];
    assert_eq!(removed, [0, 2, 2]);
    assert_eq!(records.reap(2).await, 1);
}

pub async fn reaping_takes_any_limit(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    expired(&records, "expired", records.lease(), &Write::Complete).await;
    assert_eq!(records.reap(usize::MAX).await, 1);
}

/// It expired, and was claimed anew before anybody reaped it.
pub async fn reaping_leaves_a_record_that_was_claimed_anew(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = expired(&records, "claimed anew", records.lease(), &Write::Complete).await;
    let token = records.granted(&id).await.token;
    assert_eq!(records.reap(100).await, 0);
    records.applied(&Write::Complete, &id, &token).await;
    assert_eq!(records.reap(100).await, 0, "its retention began again");
}

pub async fn reaping_leaves_a_record_that_was_rearmed(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = expired(&records, "re-armed", records.lease(), &Write::bury()).await;
    assert_eq!(records.rearm(&id, None).await, Written::Applied);
    assert_eq!(records.reap(100).await, 0);
    assert_eq!(records.record(&id).await.state, State::Failed);
}

/// Outside systems remember the highest fence that they saw, longer than we keep the record.
pub async fn fences_do_not_begin_again_after_reaping(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (id, retention) = (records.id("reaped"), records.lease());
    claimed_for(&records, &id, retention, &Write::fail()).await;
    let last = claimed_for(&records, &id, retention, &Write::Complete).await;
    records.pass(retention).await;
    assert_eq!(records.reap(100).await, 1);

    let grant = records.granted(&id).await;
    assert_eq!((grant.attempts, grant.history), (1, History::default()));
    assert!(grant.token.fence > last.fence);
}

/// Claims it with this retention and ends it so.
async fn claimed_for(
    records: &Records<'_, impl StoreHarness>,
    id: &RecordId,
    retention: Duration,
    end: &Write,
) -> Token {
    let mut claim = records.claim_of(id);
    claim.retention = retention;
    let token = granted(records.ask(&claim).await).token;
    records.applied(end, id, &token).await;
    token
}

/// A record that ended so and whose retention is over.
async fn expired(
    records: &Records<'_, impl StoreHarness>,
    key: &'static str,
    retention: Duration,
    end: &Write,
) -> RecordId {
    let id = records.id(key);
    claimed_for(records, &id, retention, end).await;
    records.pass(retention).await;
    id
}
