//! A whole consumer on the mock broker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use steadfast::{
    Backoff, Builder, Consumer, DedupKey, Handler, HandlerError, Json, NoLayers, Retry, handler_fn,
    store::MemoryStore,
};
use steadfast_mock::{
    Call, Chaos, FaultyStore, MockBroker, Point, StorePoint,
    middleware::{Delay, Duplicate, FailRandomly},
};

/// Counts its runs and fails the first so many of them.
fn charge(fail: u32) -> (Arc<AtomicU32>, impl Handler<Message = String>) {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let handler = handler_fn(move |_: String| {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        async move { if run < fail { Err(HandlerError::transient("no network")) } else { Ok(()) } }
    });
    (runs, handler)
}

fn consumer<H: Handler>(handler: H) -> Builder<H, Json, NoLayers, NoLayers> {
    Consumer::builder("charge", handler)
        .source("orders")
        .group("billing")
        .dead_letter("orders.dead")
}

fn runs(count: &AtomicU32) -> u32 {
    count.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_message_is_handled_and_settled() {
    let broker = MockBroker::new();
    let (count, handler) = charge(0);
    let running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.publish_json("orders", "order-7");
    broker.settled("orders").await;
    running.stop().await.unwrap();
    assert_eq!(runs(&count), 1);
    broker.dead_letters("orders.dead").expect_none();
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_an_hour_takes_no_time() {
    for broker in [
        MockBroker::new(),
        MockBroker::new().delays_by_copy(),
        MockBroker::new().without_delay(),
        MockBroker::new().unlimited_hold(),
    ] {
        let (count, handler) = charge(2);
        let retry = Retry::with_backoff(Backoff::fixed(Duration::from_secs(3600)));
        let running = broker.start(consumer(handler).retry(retry).build(broker.clone()).unwrap());
        broker.publish_json("orders", "order-7");
        broker.settled("orders").await;
        running.stop().await.unwrap();
        assert_eq!(runs(&count), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_keeps_failing_is_dead_lettered() {
    let broker = MockBroker::new();
    let (count, handler) = charge(u32::MAX);
    let _running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.publish_json("orders", "order-7");
    broker.settled("orders").await;
    assert_eq!(runs(&count), 5);
    broker
        .dead_letters("orders.dead")
        .expect_one()
        .with_reason("exhausted")
        .with_payload(br#""order-7""#)
        .after_attempts(5);
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_the_claim_costs_an_attempt_and_no_message() {
    let broker = MockBroker::new();
    let records = MemoryStore::new();
    broker.publish_as("id-7", "orders", steadfast::Message::new(r#""order-7""#));

    let store = FaultyStore::new(records.clone());
    store.crash_at(StorePoint::After(Call::Claim));
    let (count, handler) = charge(0);
    let doomed = consumer(handler).store(store.clone()).dedup_key(DedupKey::MessageId);
    let doomed = broker.start(doomed.build(broker.clone()).unwrap());
    store.crashed().await;
    doomed.kill().await;
    assert_eq!(runs(&count), 0);

    let (count, handler) = charge(0);
    let next = consumer(handler).store(records).dedup_key(DedupKey::MessageId);
    let _running = broker.start(next.build(broker.clone()).unwrap());
    broker.settled("orders").await;
    assert_eq!(runs(&count), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_the_ack_repeats_no_effect() {
    let broker = MockBroker::new();
    let records = MemoryStore::new();
    broker.publish_json("orders", "order-7");
    broker.crash_at(Point::BeforeSettle);
    let (count, handler) = charge(0);
    let doomed = consumer(handler).store(records.clone()).dedup_key(DedupKey::MessageId);
    let doomed = broker.start(doomed.build(broker.clone()).unwrap());
    broker.crashed().await;
    doomed.kill().await;

    let (again, handler) = charge(0);
    let next = consumer(handler).store(records).dedup_key(DedupKey::MessageId);
    let _running = broker.start(next.build(broker.clone()).unwrap());
    broker.settled("orders").await;
    assert_eq!((runs(&count), runs(&again)), (1, 0));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a consumer ended: ")]
async fn the_assertions_say_why_a_consumer_ended() {
    let broker = MockBroker::new().strict_topics();
    broker.create_topic("orders");
    broker.publish_json("orders", "order-7");
    let _running = broker.start(consumer(charge(0).1).build(broker.clone()).unwrap());
    broker.settled("orders").await;
}

#[tokio::test(start_paused = true)]
async fn in_chaos_every_message_ends() {
    for seed in 0..20 {
        let broker = MockBroker::new().seed(seed);
        let store = FaultyStore::new(MemoryStore::new());
        store.fail_randomly(seed, 0.05);
        broker.faults().chaos(Chaos::random(seed));
        let (count, handler) = charge(0);
        let chaotic = consumer(handler)
            .store(store.clone())
            .dedup_key(DedupKey::MessageId)
            .inner(Delay::new(seed, Duration::ZERO..=Duration::from_secs(20)))
            .inner(Duplicate::every(7))
            .inner(FailRandomly::new(seed, 0.2));
        let running = broker.start(chaotic.build(broker.clone()).unwrap());
        for order in 0..100 {
            broker.publish_json("orders", &order.to_string());
        }
        tokio::time::sleep(Duration::from_secs(300)).await;
        broker.faults().calm();
        store.calm();
        broker.settled("orders").await;
        running.stop().await.unwrap();
        let ended = runs(&count) as usize + broker.dead_letters("orders.dead").len();
        assert!(ended >= 100, "seed {seed}: {ended} ended");
    }
}
