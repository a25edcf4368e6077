//! Each fault, and faults at random.

use std::time::Duration;

use steadfast::broker::{Broker, BrokerError, SettleError, Settlement, Subscription};
use steadfast_mock::{Chaos, MockBroker};

use crate::driver::*;

#[tokio::test(start_paused = true)]
async fn a_lost_ack_succeeds_and_the_message_comes_again() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    broker.faults().lose_acks(1);
    let session = Session::open(&broker).await;
    let delivery = session.one().await;
    let receipt = delivery.receipt;
    session.ack(delivery).await.unwrap();
    assert_stale(session.extend(receipt).await);
    session.expect_nothing().await;
    let again = session.one().await;
    assert_eq!(again.broker_deliveries, Some(2));
    session.ack(again).await.unwrap();
    broker.settled("orders").await;
}

#[tokio::test(start_paused = true)]
async fn an_ack_is_lost_with_its_connection_where_holds_are_unlimited() {
    let broker = MockBroker::new().unlimited_hold();
    publish(&broker, &["a"]);
    broker.faults().lose_acks(1);
    let session = Session::open(&broker).await;
    session.ack(session.one().await).await.unwrap();
    assert!(session.try_take(1).await.is_err());
    assert_eq!(word(&Session::open(&broker).await.one().await), "a");
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_handed_out_beside_its_original() {
    let broker = MockBroker::new();
    publish(&broker, &["a", "b"]);
    broker.faults().duplicate(1);
    let session = Session::open(&broker).await;
    let mut taken = session.take(64).await;
    assert_eq!(words(&taken), ["a", "a", "b"]);
    assert_ne!(taken[0].receipt, taken[1].receipt);
    assert_eq!(taken[0].origin, taken[1].origin);
    let (second, first) = (taken.remove(1), taken.remove(0));
    session.ack(first).await.unwrap();
    session.ack(second).await.unwrap();
    assert_eq!(broker.unsettled("orders"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_without_room_is_the_next() {
    let broker = MockBroker::new();
    publish(&broker, &["a", "b"]);
    broker.faults().duplicate(1);
    let session = Session::open(&broker).await;
    assert_eq!(word(&session.one().await), "a");
    assert_eq!(word(&session.one().await), "a");
    assert_eq!(word(&session.one().await), "b");
}

#[tokio::test(start_paused = true)]
async fn an_ordered_broker_duplicates_and_reorders_nothing() {
    let broker = MockBroker::new().ordered();
    publish_keyed(&broker, "k", &["a", "b", "c", "d", "e", "f"]);
    broker.faults().duplicate(3).reorder();
    let session = Session::open(&broker).await;
    assert_eq!(words(&session.take(64).await), ["a", "b", "c", "d", "e", "f"]);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_reorders_in_the_same_way() {
    async fn received(seed: u64) -> Vec<String> {
        let broker = MockBroker::new().seed(seed);
        publish(&broker, &["a", "b", "c", "d", "e", "f", "g", "h"]);
        broker.faults().reorder();
        let received = words(&Session::open(&broker).await.take(64).await);
        assert_eq!(received.len(), 8);
        received
    }
    assert_eq!(received(1).await, received(1).await);
    assert_ne!(received(1).await, received(2).await);
}

#[tokio::test(start_paused = true)]
async fn a_settle_that_fails_settles_nothing_and_can_be_repeated() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    broker.faults().fail_settles(1);
    let session = Session::open(&broker).await;
    let settle = steadfast::broker::Settle::new(session.one().await, Settlement::Ack);
    let batch = std::slice::from_ref(&settle);
    assert!(matches!(session.0.settle(batch).await[0], Err(SettleError::Unavailable(_))));
    assert!(session.0.settle(batch).await[0].is_ok());
    broker.settled("orders").await;
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_ends_all_sessions_and_gives_back_what_they_hold() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let delivery = session.one().await;
    let cut = async { broker.faults().disconnect() };
    let (received, _) = tokio::join!(session.try_take(1), cut);
    assert!(matches!(received, Err(BrokerError::Unavailable(_))), "{received:?}");
    assert_eq!(delivery.cancellation().reason(), None, "that is for the consumer to do");
    assert_stale(session.extend(delivery.receipt).await);
    assert_stale(session.ack(delivery).await);
    assert!(session.0.backlog().await.is_err());
    assert_eq!(word(&Session::open(&broker).await.one().await), "a");
}

#[tokio::test(start_paused = true)]
async fn connections_are_refused_as_often_as_planned() {
    let broker = MockBroker::new();
    broker.faults().refuse_connections(2);
    let subscription = Subscription::new("orders", "billing");
    for _ in 0..2 {
        let refused = broker.subscribe(&subscription).await.err();
        assert!(matches!(refused, Some(BrokerError::Unavailable(_))), "{refused:?}");
    }
    assert!(broker.subscribe(&subscription).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn calm_ends_all_faults() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    broker.faults().fail_settles(9).refuse_connections(9).lose_acks(9).duplicate(9).calm();
    let session = Session::open(&broker).await;
    session.ack(session.one().await).await.unwrap();
    broker.settled("orders").await;
}

/// A consumer of five lines, that tries again whatever happens.
async fn consume(broker: &MockBroker, most: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < most {
        let Ok(source) = broker.subscribe(&Subscription::new("orders", "billing")).await else {
            continue;
        };
        let session = Session(source);
        while let Ok(deliveries) = session.try_take(4).await {
            for delivery in deliveries {
                seen.push(format!("{} {:?}", word(&delivery), delivery.broker_deliveries));
                let settled = session.ack(delivery).await;
                seen.push(settled.map_or_else(|error| error.to_string(), |()| "ok".to_owned()));
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn chaos_follows_from_its_seed_and_loses_nothing() {
    async fn history(seed: u64) -> Vec<String> {
        let broker = MockBroker::new();
        broker.faults().chaos(Chaos::random(seed).broken_connections(0.2).refused_connections(0.2));
        let words: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        publish(&broker, &words.iter().map(String::as_str).collect::<Vec<_>>());
        let chaotic = tokio::time::timeout(Duration::from_secs(60), consume(&broker, 100)).await;
        broker.faults().calm();
        tokio::select! {
            () = broker.settled("orders") => {}
            _ = consume(&broker, usize::MAX) => {}
        }
        chaotic.unwrap_or_default()
    }
    for seed in 0..20 {
        assert_eq!(history(seed).await, history(seed).await, "seed {seed}");
    }
    assert_ne!(history(1).await, history(2).await);
}
