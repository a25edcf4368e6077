//! Order per key.

use std::time::Duration;

use steadfast::{Cancelled, broker::Settle, broker::Settlement};
use steadfast_mock::MockBroker;

use crate::driver::*;

fn ordered() -> MockBroker {
    MockBroker::new().ordered().visibility(Duration::from_secs(30))
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_to_the_session_that_holds_what_came_before() {
    let broker = ordered();
    publish_keyed(&broker, "k", &["k1", "k2"]);
    publish_keyed(&broker, "l", &["l1"]);
    let (one, two) = (Session::open(&broker).await, Session::open(&broker).await);
    assert!(one.0.capabilities().ordered);
    let k1 = one.one().await;
    assert_eq!(words(&two.take(64).await), ["l1"]);
    assert_eq!(words(&one.take(64).await), ["k2"]);
    one.ack(k1).await.unwrap();
    two.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_is_free_for_another_session_once_nothing_of_it_is_out() {
    let broker = ordered();
    publish_keyed(&broker, "k", &["k1", "k2"]);
    let (one, two) = (Session::open(&broker).await, Session::open(&broker).await);
    one.ack(one.one().await).await.unwrap();
    assert_eq!(word(&two.one().await), "k2");
}

#[tokio::test(start_paused = true)]
async fn a_delayed_requeue_keeps_its_key_back_and_no_other() {
    let broker = ordered();
    publish_keyed(&broker, "k", &["k1", "k2"]);
    publish_keyed(&broker, "l", &["l1"]);
    let session = Session::open(&broker).await;
    let k1 = session.one().await;
    session.requeue(k1, 3600).await.unwrap();
    let l1 = session.one().await;
    assert_eq!(word(&l1), "l1");
    session.ack(l1).await.unwrap();
    session.expect_nothing().await;
    pass(3600).await;
    assert_eq!(words(&session.take(64).await), ["k1", "k2"]);
}

#[tokio::test(start_paused = true)]
async fn a_requeued_message_comes_before_those_behind_it() {
    let broker = ordered();
    publish_keyed(&broker, "k", &["k1", "k2", "k3"]);
    let session = Session::open(&broker).await;
    let mut taken = session.take(2).await;
    let (k2, k1) = (taken.remove(1), taken.remove(0));
    session.release(k1).await.unwrap();
    let again = session.one().await;
    assert_eq!(word(&again), "k1", "it overtakes k3, and k2 is still held");
    session.ack(again).await.unwrap();
    session.ack(k2).await.unwrap();
    assert_eq!(word(&session.one().await), "k3");
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_runs_out_revokes_all_that_follows_in_its_key() {
    let broker = ordered();
    publish_keyed(&broker, "k", &["k1", "k2", "k3"]);
    let session = Session::open(&broker).await;
    let k1 = session.one().await;
    pass(20).await;
    let mut later = session.take(64).await;
    assert_eq!(words(&later), ["k2", "k3"]);
    let (k3, k2) = (later.remove(1), later.remove(0));
    k1.cancellation().cancelled().await;
    assert_eq!(k2.cancellation().reason(), Some(Cancelled::Revoked));
    assert_eq!(k3.cancellation().reason(), Some(Cancelled::Revoked));
    let batch: Vec<Settle> =
        [k1, k2, k3].into_iter().map(|d| Settle::new(d, Settlement::Ack)).collect();
    session.0.settle(&batch).await.into_iter().for_each(assert_stale);
    assert_eq!(words(&session.take(64).await), ["k1", "k2", "k3"]);
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_runs_out_leaves_what_came_before_it() {
    let broker = ordered();
    publish_keyed(&broker, "k", &["k1", "k2"]);
    let session = Session::open(&broker).await;
    let mut taken = session.take(2).await;
    let (k2, k1) = (taken.remove(1), taken.remove(0));
    pass(20).await;
    session.extend(k1.receipt).await.unwrap();
    k2.cancellation().cancelled().await;
    assert_eq!(k1.cancellation().reason(), None);
    let other = Session::open(&broker).await;
    other.expect_nothing().await;
    assert_eq!(word(&session.one().await), "k2");
}

#[tokio::test(start_paused = true)]
async fn messages_without_a_key_are_in_no_order() {
    let broker = ordered();
    publish(&broker, &["a", "b"]);
    let (one, two) = (Session::open(&broker).await, Session::open(&broker).await);
    let _held = one.one().await;
    assert_eq!(word(&two.one().await), "b");
}
