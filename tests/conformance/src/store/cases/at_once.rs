//! Calls that meet. Stores that group calls into one statement find two of one key in a group here,
//! and two groups with the same keys. No time passes in these cases, so they can run on many threads
//! also where time is paused otherwise.

use std::{collections::HashSet, future::Future, time::Duration};

use steadfast::store::{Answer, Claim, Written};
use tokio::time::timeout;

use crate::store::{Records, StoreHarness, Write, records::granted};

pub async fn of_many_claims_at_once_one_is_granted(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("wanted by many");
    let claims = (0..32).map(|_| records.claim_of(&id)).collect();
    let answers = claim_at_once(&records, claims).await;
    assert_one_granted(&answers, 1);
}

pub async fn of_many_takeovers_at_once_one_is_granted(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("abandoned");
    records.ended(&id, &Write::Extend(Duration::ZERO)).await;
    let claims = (0..32).map(|_| records.claim_of(&id)).collect();
    let answers = claim_at_once(&records, claims).await;
    assert_one_granted(&answers, 2);
}

/// An impatient client repeats a claim while the first is under way.
pub async fn one_owner_asking_many_times_at_once_has_one_claim(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let claim = records.claim_of(&records.id("impatient"));
    let answers = claim_at_once(&records, vec![claim.clone(); 16]).await;
    let grants: HashSet<_> = answers.into_iter().map(|a| granted(a).token).collect();
    assert_eq!(grants.len(), 1, "one token for all: {grants:?}");
    assert_eq!(records.record(&claim.id).await.attempts, 1);
}

pub async fn of_two_payloads_at_once_one_is_a_conflict(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("two payloads");
    let claims = (0..16).map(|number| match number % 2 {
        0 => records.claim_of(&id),
        _ => records.claim_of_another_payload(&id),
    });
    let answers = claim_at_once(&records, claims.collect()).await;
    let count = |kind: fn(&Answer) -> bool| answers.iter().filter(|a| kind(a)).count();
    assert_eq!(count(|answer| matches!(answer, Answer::Granted(_))), 1, "{answers:?}");
    assert_eq!(count(|answer| matches!(answer, Answer::Busy(_))), 7, "{answers:?}");
    assert_eq!(count(|answer| *answer == Answer::Conflict), 8, "{answers:?}");
}

/// Two groups that lock the same rows in opposite orders are the classic deadlock.
pub async fn many_keys_in_both_orders_do_not_deadlock(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let ids: Vec<_> = (0..64).map(|number| records.id(format!("key {number:02}"))).collect();
    let both = ids.iter().chain(ids.iter().rev());
    let answers = claim_at_once(&records, both.map(|id| records.claim_of(id)).collect()).await;
    for (number, id) in ids.iter().enumerate() {
        let pair = [answers[number].clone(), answers[127 - number].clone()];
        assert_one_granted(&pair, 1);
        assert_eq!(records.record(id).await.attempts, 1);
    }
}

pub async fn many_writes_at_once_are_each_answered_for_themselves(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let ends = Write::all(records.lease());
    let mut calls = Vec::new();
    for number in 0..60 {
        let id = records.id(format!("key {number:02}"));
        let stale = records.granted(&id).await.token;
        records.applied(&Write::Extend(Duration::ZERO), &id, &stale).await;
        let owner = records.granted(&id).await.token;
        calls.push((id.clone(), owner, ends[number % 5].clone(), Written::Applied));
        calls.push((id, stale, ends[number % 4].clone(), Written::Fenced));
    }
    let futures = calls.iter().cloned().map(|(id, token, write, _)| {
        let store = records.store.clone();
        async move { write.make(&*store, &id, &token).await.expect("the store takes a write") }
    });
    let written = at_once(futures.collect()).await;
    for ((id, _, write, expected), written) in calls.iter().zip(written) {
        assert_eq!(written, *expected, "{write} of {:?}", id.key.as_bytes());
        if *expected == Written::Applied {
            assert_eq!(records.record(id).await.state, write.leads_to());
        }
    }
}

/// Whoever comes first wins, and the other is told.
pub async fn of_a_late_completion_and_a_takeover_one_wins(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let mut races = Vec::new();
    for number in 0..32 {
        let mut claim = records.claim_of(&records.id(format!("race {number}")));
        claim.lease = Duration::ZERO;
        let token = granted(records.ask(&claim).await).token;
        races.push((records.claim_of(&claim.id), token));
    }
    let futures = races.into_iter().map(|(claim, token)| {
        let store = records.store.clone();
        async move {
            futures::future::join(store.complete(&claim.id, &token), store.claim(&claim)).await
        }
    });
    for (written, answer) in at_once(futures.collect()).await {
        match (written.expect("the store takes a write"), answer.expect("the store answers")) {
            (Written::Applied, Answer::Done) | (Written::Fenced, Answer::Granted(_)) => {}
            (written, answer) => panic!("{written:?}, and at the same time {answer:?}"),
        }
    }
}

async fn claim_at_once(
    records: &Records<'_, impl StoreHarness>,
    claims: Vec<Claim>,
) -> Vec<Answer> {
    let futures = claims.into_iter().map(|claim| {
        let store = records.store.clone();
        async move { store.claim(&claim).await.expect("the store answers a claim") }
    });
    at_once(futures.collect()).await
}

/// Runs them as tasks, which meet on as many threads as the test has.
async fn at_once<T: Send + 'static>(
    futures: Vec<impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    let all = futures::future::join_all(tasks);
    let results = timeout(Duration::from_secs(60), all).await.expect("no call waits for another");
    results.into_iter().map(|result| result.expect("no call panics")).collect()
}

fn assert_one_granted(answers: &[Answer], attempts: u32) {
    let mut grants = 0;
    for answer in answers {
        match answer {
            Answer::Granted(grant) => {
                grants += 1;
                assert_eq!(grant.attempts, attempts);
            }
            Answer::Busy(_) => {}
            other => panic!("expected one grant and else busy, found {other:?}"),
        }
    }
    assert_eq!(grants, 1, "{answers:?}");
}
