//! The broker's patience.

use std::time::Duration;

use steadfast::{
    Cancelled,
    broker::{Hold, SettleError},
};
use steadfast_mock::MockBroker;

use crate::driver::*;

#[tokio::test(start_paused = true)]
async fn a_hold_that_runs_out_trips_the_token_and_makes_the_receipt_stale() {
    let broker = MockBroker::new().visibility(Duration::from_secs(10));
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let delivery = session.one().await;
    assert_eq!(delivery.cancellation().cancelled().await, Cancelled::Revoked);
    assert_stale(session.extend(delivery.receipt).await);
    assert_stale(session.ack(delivery).await);
    let again = session.one().await;
    assert_eq!((word(&again), again.broker_deliveries), ("a".to_owned(), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn an_extension_counts_from_its_own_time() {
    let broker = MockBroker::new().visibility(Duration::from_secs(10));
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let delivery = session.one().await;
    for _ in 0..5 {
        pass(9).await;
        session.extend(delivery.receipt).await.unwrap();
    }
    assert_eq!(delivery.cancellation().reason(), None);
    session.ack(delivery).await.unwrap();
    broker.settled("orders").await;
}

#[tokio::test(start_paused = true)]
async fn no_extension_goes_beyond_the_total() {
    let broker = MockBroker::new()
        .visibility(Duration::from_secs(10))
        .visibility_in_total(Duration::from_secs(15));
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let delivery = session.one().await;
    pass(9).await;
    session.extend(delivery.receipt).await.unwrap();
    pass(7).await;
    assert_eq!(delivery.cancellation().reason(), Some(Cancelled::Revoked));
}

#[tokio::test(start_paused = true)]
async fn a_fixed_hold_cannot_be_extended() {
    let broker = MockBroker::new().fixed_hold(Duration::from_secs(10));
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    assert_eq!(session.0.capabilities().hold, Hold::Fixed(Duration::from_secs(10)));
    let delivery = session.one().await;
    assert!(matches!(session.extend(delivery.receipt).await, Err(SettleError::Unavailable(_))));
    pass(11).await;
    assert_eq!(delivery.cancellation().reason(), Some(Cancelled::Revoked));
}

#[tokio::test(start_paused = true)]
async fn an_unlimited_hold_lasts_as_long_as_its_session() {
    let broker = MockBroker::new().unlimited_hold();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let delivery = session.one().await;
    pass(1_000_000).await;
    session.ack(delivery).await.unwrap();
    broker.settled("orders").await;
}
