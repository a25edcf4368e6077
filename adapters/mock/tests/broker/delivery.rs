//! Handing out, competing, settling.

use std::time::Duration;

use steadfast::{
    Message, Receipt,
    broker::{Broker, BrokerError, Demand, Settle, Settlement, Subscription},
};
use steadfast_mock::MockBroker;

use crate::driver::*;

#[tokio::test(start_paused = true)]
async fn messages_come_in_the_order_of_publishing() {
    let broker = MockBroker::new();
    publish(&broker, &["a", "b", "c"]);
    let session = Session::open(&broker).await;
    assert_eq!(words(&session.take(64).await), ["a", "b", "c"]);
    session.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_says_where_it_came_from_and_how_old_it_is() {
    let broker = MockBroker::new();
    publish(&broker, &["a", "b"]);
    let session = Session::open(&broker).await;
    pass(5).await;
    let delivery = session.take(2).await.remove(1);
    assert_eq!(&*delivery.origin.source, "orders");
    assert_eq!(delivery.origin.position.as_deref(), Some("orders/1"));
    assert_eq!(delivery.origin.message_id.as_deref(), Some("m-2"));
    assert_eq!(delivery.broker_deliveries, Some(1));
    assert_eq!(delivery.age().unwrap().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn receive_waits_for_what_is_published_later() {
    let broker = MockBroker::new();
    let session = Session::open(&broker).await;
    let later = async {
        pass(60).await;
        publish(&broker, &["a"]);
    };
    let (delivery, ()) = tokio::join!(session.one(), later);
    assert_eq!(word(&delivery), "a");
}

#[tokio::test(start_paused = true)]
async fn consumers_of_a_group_compete_and_groups_do_not() {
    let broker = MockBroker::new();
    publish(&broker, &["a", "b"]);
    let (one, two) = (Session::open(&broker).await, Session::open(&broker).await);
    let other = Session::with(&broker, Subscription::new("orders", "shipping")).await;
    assert_eq!(word(&one.one().await), "a");
    assert_eq!(word(&two.one().await), "b");
    one.expect_nothing().await;
    assert_eq!(words(&other.take(64).await), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn receive_respects_the_demand_for_messages_and_bytes() {
    let broker = MockBroker::new();
    publish(&broker, &["aaaa", "bbbb", "cccc", "dddd"]);
    let session = Session::open(&broker).await;
    assert_eq!(session.0.receive(Demand::new(1, 100)).await.unwrap().len(), 1);
    let passing = session.0.receive(Demand::new(10, 5)).await.unwrap();
    assert_eq!(words(&passing), ["bbbb", "cccc"], "it stops behind the one that passes the bytes");
}

#[tokio::test(start_paused = true)]
async fn a_session_holds_no_more_than_its_subscription_allows() {
    let broker = MockBroker::new();
    publish(&broker, &["a", "b", "c"]);
    let session =
        Session::with(&broker, Subscription::new("orders", "billing").max_messages(2)).await;
    let mut taken = session.take(64).await;
    assert_eq!(taken.len(), 2);
    session.expect_nothing().await;
    session.ack(taken.remove(0)).await.unwrap();
    assert_eq!(words(&session.take(64).await), ["c"]);
    assert_eq!(broker.max_unsettled("orders"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_holds_no_more_bytes_than_its_subscription_allows() {
    let broker = MockBroker::new();
    publish(&broker, &["aaaa", "bbbb", "cccc"]);
    let session = Session::with(&broker, Subscription::new("orders", "billing").max_bytes(6)).await;
    assert_eq!(session.take(64).await.len(), 2);
    session.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_is_settled_once() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let settle = Settle::new(session.one().await, Settlement::Ack);
    let answers = session.0.settle(&[settle.clone(), settle.clone()]).await;
    assert!(answers[0].is_ok());
    assert_stale(session.0.settle(&[settle]).await.remove(0));
    assert!(matches!(answers[1], Err(steadfast::broker::SettleError::Stale)));
}

#[tokio::test(start_paused = true)]
async fn the_receipt_of_another_session_settles_nothing() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    let (one, two) = (Session::open(&broker).await, Session::open(&broker).await);
    let delivery = one.one().await;
    assert_stale(two.extend(delivery.receipt).await);
    let mut settle = Settle::new(delivery, Settlement::Ack);
    assert_stale(two.0.settle(std::slice::from_ref(&settle)).await.remove(0));
    settle.receipt = Receipt::new(settle.receipt.epoch + 1, settle.receipt.tag);
    assert_stale(one.extend(settle.receipt).await);
    assert_stale(one.0.settle(&[settle]).await.remove(0));
    assert_eq!(broker.unsettled("orders"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_release_comes_again_at_once_and_to_its_place() {
    let broker = MockBroker::new();
    publish(&broker, &["a", "b"]);
    let session = Session::open(&broker).await;
    let first = session.one().await;
    session.release(first).await.unwrap();
    let again = session.take(2).await;
    assert_eq!(words(&again), ["a", "b"]);
    assert_eq!(again[0].broker_deliveries, Some(2));
    assert_eq!(again[1].broker_deliveries, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_broker_need_not_count() {
    let broker = MockBroker::new().without_delivery_counts();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    assert!(!session.0.capabilities().counts_deliveries);
    assert_eq!(session.one().await.broker_deliveries, None);
}

#[tokio::test(start_paused = true)]
async fn the_delivery_limit_takes_a_message_away_after_counted_deliveries() {
    let broker = MockBroker::new().delivery_limit(2);
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    session.release(session.one().await).await.unwrap();
    let uncounted = Settlement::Requeue { delay: Duration::ZERO, counted: false };
    session.settle(session.one().await, uncounted).await.unwrap();
    session.requeue(session.one().await, 0).await.unwrap();
    assert!(broker.taken_away("orders").is_empty());
    session.requeue(session.one().await, 0).await.unwrap();
    session.expect_nothing().await;
    assert_eq!(broker.taken_away("orders"), [Message::new("a")]);
}

#[tokio::test(start_paused = true)]
async fn the_delivery_limit_counts_lost_sessions_and_holds_that_run_out() {
    let broker = MockBroker::new().delivery_limit(2);
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    session.one().await.cancellation().cancelled().await;
    let _held = session.one().await;
    drop(session);
    assert_eq!(broker.taken_away("orders"), [Message::new("a")]);
}

#[tokio::test(start_paused = true)]
async fn stop_ends_a_pending_receive_and_later_ones() {
    let broker = MockBroker::new();
    let session = Session::open(&broker).await;
    let (received, ()) = tokio::join!(session.take(1), session.0.stop());
    assert!(received.is_empty());
    publish(&broker, &["a"]);
    assert!(session.take(1).await.is_empty());
    assert_eq!(session.0.backlog().await.unwrap(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn what_was_received_can_be_settled_after_stop() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let delivery = session.one().await;
    session.0.stop().await;
    session.ack(delivery).await.unwrap();
    broker.settled("orders").await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_session_gives_back_what_it_holds() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let delivery = session.one().await;
    session.0.close().await;
    let next = Session::open(&broker).await;
    assert_eq!(word(&next.one().await), "a");
    assert_stale(session.ack(delivery).await);
    assert!(matches!(session.try_take(1).await, Err(BrokerError::Unavailable(_))));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_session_gives_back_what_it_holds() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let _held = session.one().await;
    drop(session);
    assert_eq!(word(&Session::open(&broker).await.one().await), "a");
    assert_eq!(broker.sessions("orders"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_backlog_of_a_session_is_what_it_could_be_handed_now() {
    let broker = MockBroker::new().ordered();
    publish(&broker, &["a", "b", "c"]);
    publish_keyed(&broker, "k", &["k1", "k2"]);
    let (one, two) = (Session::open(&broker).await, Session::open(&broker).await);
    let (a, _b) = (one.one().await, one.one().await);
    one.requeue(a, 60).await.unwrap();
    two.take(2).await;
    assert_eq!(one.0.backlog().await.unwrap(), Some(0), "a is delayed, k2 is for the other");
    assert_eq!(two.0.backlog().await.unwrap(), Some(1));
    assert_eq!(broker.backlog("orders"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_missing_topic_is_a_misconfiguration_where_topics_are_strict() {
    let broker = MockBroker::new().strict_topics();
    let error = broker.subscribe(&Subscription::new("orders", "g")).await.err().unwrap();
    assert!(matches!(&error, BrokerError::Misconfigured(text) if text.contains("`orders`")
        && text.contains("create_topic")));
    broker.create_topic("orders");
    assert!(broker.subscribe(&Subscription::new("orders", "g")).await.is_ok());
}
