//! A store with faults.

use std::time::Duration;

use steadfast::store::{
    Answer, Claim, Digest, Key, MemoryStore, RecordId, Scope, State, Store, StoreError, Written,
};
use steadfast_mock::{Call, FaultyStore, StorePoint};

#[allow(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]
fn claim() -> Claim {
    let scope = Scope::new("charge", "billing", 0).unwrap();
    let id = RecordId::new(scope, Key::new("order-7").unwrap());
    Claim::new(id, Digest::of(None), Duration::from_secs(30), Duration::from_secs(3600))
}

fn assert_unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_does_nothing() {
    let store = FaultyStore::new(MemoryStore::new());
    let claim = claim();
    store.take_down();
    assert_unavailable(store.claim(&claim).await);
    assert_unavailable(store.look(&claim.id).await);
    store.bring_up();
    assert_eq!(store.look(&claim.id).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_reply_is_lost_is_made() {
    let store = FaultyStore::new(MemoryStore::new());
    let claim = claim();
    store.lose_replies(1);
    assert_unavailable(store.claim(&claim).await);
    let Answer::Granted(grant) = store.claim(&claim).await.unwrap() else { panic!() };
    assert_eq!(grant.attempts, 1, "the first call has been made");
    assert_eq!(store.complete(&claim.id, &grant.token).await.unwrap(), Written::Applied);
}

#[tokio::test(start_paused = true)]
async fn a_crash_leaves_the_call_made_or_not() {
    for (point, state) in [
        (StorePoint::Before(Call::Complete), State::InProgress),
        (StorePoint::After(Call::Complete), State::Done),
    ] {
        let store = FaultyStore::new(MemoryStore::new());
        let claim = claim();
        let Answer::Granted(grant) = store.claim(&claim).await.unwrap() else { panic!() };
        store.crash_at(point);
        tokio::select! {
            written = store.complete(&claim.id, &grant.token) => panic!("{written:?}"),
            () = store.crashed() => {}
        }
        assert_eq!(store.look(&claim.id).await.unwrap().unwrap().state, state);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_at_random_follow_from_their_seed_until_calm() {
    async fn answers(seed: u64) -> Vec<bool> {
        let store = FaultyStore::new(MemoryStore::new());
        store.fail_randomly(seed, 0.5);
        let mut answers = Vec::new();
        for _ in 0..40 {
            answers.push(store.claim(&claim()).await.is_ok());
        }
        store.calm();
        assert!(store.claim(&claim()).await.is_ok());
        answers
    }
    assert_eq!(answers(1).await, answers(1).await);
    assert_ne!(answers(1).await, answers(2).await);
}
