//! Requeues that wait.

use std::time::Duration;

use steadfast::broker::SettleError;
use steadfast_mock::MockBroker;

use crate::driver::*;

#[tokio::test(start_paused = true)]
async fn a_delay_is_kept_exactly() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    session.requeue(session.one().await, 3600).await.unwrap();
    pass(3599).await;
    session.expect_nothing().await;
    pass(1).await;
    assert_eq!(session.one().await.origin.position.as_deref(), Some("orders/0"));
}

#[tokio::test(start_paused = true)]
async fn a_delay_beyond_the_longest_is_cut() {
    let broker = MockBroker::new().max_delay(Duration::from_secs(900));
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    assert_eq!(session.0.capabilities().max_delay, Some(Duration::from_secs(900)));
    session.requeue(session.one().await, 3600).await.unwrap();
    pass(900).await;
    session.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_cannot_delay_delivers_at_once() {
    let broker = MockBroker::new().without_delay();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    assert_eq!(session.0.capabilities().max_delay, None);
    session.requeue(session.one().await, 3600).await.unwrap();
    session.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_carries_its_story_and_the_original_is_acked() {
    let broker = MockBroker::new().delays_by_copy();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    session.requeue(session.one().await, 60).await.unwrap();
    assert_eq!(broker.unsettled("orders"), 0);
    session.expect_nothing().await;
    pass(60).await;
    let copy = session.one().await;
    assert_eq!(word(&copy), "a");
    assert_eq!(copy.message.headers.text("steadfast-retry-position"), Some("orders/0"));
    assert_eq!(copy.origin.position.as_deref(), Some("orders/1"));
    assert_eq!(copy.origin.message_id.as_deref(), Some("m-1"));
    assert_eq!(copy.broker_deliveries, Some(1));
    assert_eq!(broker.messages("orders").len(), 1, "a copy is not published to the topic");
    session.ack(copy).await.unwrap();
    broker.settled("orders").await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_has_an_id_of_its_own_where_ids_are_not_stable() {
    let broker = MockBroker::new().delays_by_copy().without_stable_ids();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    assert!(!session.0.capabilities().stable_message_ids);
    session.requeue(session.one().await, 60).await.unwrap();
    assert_eq!(session.one().await.origin.message_id.as_deref(), Some("m-2"));
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_cannot_be_made_leaves_the_original_held() {
    let broker = MockBroker::new().delays_by_copy();
    publish(&broker, &["a"]);
    broker.faults().fail_publishes("orders.retry", 1).refuse_publishes("orders.retry", 1);
    let session = Session::open(&broker).await;
    let delivery = session.one().await;
    let requeue =
        steadfast::broker::Settlement::Requeue { delay: Duration::from_secs(60), counted: true };
    let settle = steadfast::broker::Settle::new(delivery, requeue);
    let batch = std::slice::from_ref(&settle);
    assert!(matches!(session.0.settle(batch).await[0], Err(SettleError::Unavailable(_))));
    assert!(matches!(session.0.settle(batch).await[0], Err(SettleError::Refused(_))));
    assert_eq!((broker.unsettled("orders"), broker.backlog("orders")), (1, 0));
    assert!(session.0.settle(batch).await[0].is_ok());
    assert_eq!((broker.unsettled("orders"), broker.backlog("orders")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_too_large_is_refused() {
    let broker = MockBroker::new().delays_by_copy().max_message_bytes(10);
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let answer = session.requeue(session.one().await, 60).await;
    assert!(matches!(answer, Err(SettleError::Refused(_))), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stale_receipt_makes_no_copy() {
    let broker = MockBroker::new().delays_by_copy();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let delivery = session.one().await;
    delivery.cancellation().cancelled().await;
    assert_stale(session.requeue(delivery, 60).await);
    assert_eq!(broker.backlog("orders"), 1);
}
