//! Crashes at named points.

use std::time::Duration;

use steadfast::{
    Message,
    broker::{Broker, Settle, Settlement},
};
use steadfast_mock::{MockBroker, Point};

use crate::driver::*;

/// Runs `process` until the crash, and drops it there.
async fn until_crashed(broker: &MockBroker, process: impl Future<Output = ()>) {
    tokio::select! {
        () = process => panic!("it did not crash"),
        () = broker.crashed() => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_receiving_gives_the_deliveries_back() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    broker.crash_at(Point::AfterReceive);
    let session = Session::open(&broker).await;
    until_crashed(&broker, async {
        session.one().await;
    })
    .await;
    assert_eq!(broker.unsettled("orders"), 1);
    drop(session);
    let again = Session::open(&broker).await.one().await;
    assert_eq!(again.broker_deliveries, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_receiving_hands_nothing_out() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    broker.crash_at(Point::BeforeReceive);
    let session = Session::open(&broker).await;
    until_crashed(&broker, async {
        session.one().await;
    })
    .await;
    assert_eq!((broker.unsettled("orders"), broker.backlog("orders")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_two_settlements_keeps_the_first() {
    for (point, left) in [(Point::BeforeSettle, 2), (Point::AfterSettle, 1)] {
        let broker = MockBroker::new();
        publish(&broker, &["a", "b", "c"]);
        broker.crash_at_hit(point, 1);
        let session = Session::open(&broker).await;
        until_crashed(&broker, async {
            let taken = session.take(64).await.into_iter();
            let batch: Vec<Settle> = taken.map(|d| Settle::new(d, Settlement::Ack)).collect();
            session.0.settle(&batch).await;
        })
        .await;
        drop(session);
        assert_eq!(broker.backlog("orders"), left, "{point:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_around_a_publish_leaves_the_message_or_does_not() {
    for (point, published) in [(Point::BeforePublish, 0), (Point::AfterPublish, 1)] {
        let broker = MockBroker::new();
        broker.crash_at(point);
        let publisher = broker.publisher().await.unwrap();
        until_crashed(&broker, async {
            publisher.publish("orders", &Message::new("a")).await.unwrap();
        })
        .await;
        assert_eq!(broker.messages("orders").len(), published, "{point:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_the_copy_and_the_ack_leaves_both() {
    let broker = MockBroker::new().delays_by_copy();
    publish(&broker, &["a"]);
    broker.crash_at(Point::AfterPublish);
    let session = Session::open(&broker).await;
    until_crashed(&broker, async {
        session.requeue(session.one().await, 60).await.unwrap();
    })
    .await;
    drop(session);
    assert_eq!(broker.backlog("orders"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_dead_do_nothing_more() {
    let broker = MockBroker::new();
    publish(&broker, &["a", "b"]);
    broker.crash_at_hit(Point::AfterReceive, 1);
    let session = Session::open(&broker).await;
    let first = session.one().await;
    until_crashed(&broker, async {
        session.one().await;
    })
    .await;
    let late = tokio::time::timeout(Duration::from_secs(3600), session.ack(first)).await;
    assert!(late.is_err(), "a dead process cannot ack");
}

#[tokio::test(start_paused = true)]
async fn a_crash_happens_once() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    broker.crash_at(Point::BeforeReceive);
    let doomed = Session::open(&broker).await;
    until_crashed(&broker, async {
        doomed.one().await;
    })
    .await;
    let next = Session::open(&broker).await;
    next.ack(next.one().await).await.unwrap();
    broker.settled("orders").await;
}
