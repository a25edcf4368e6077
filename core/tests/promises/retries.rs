//! Retries: how often, how long apart, in place or by the broker (P7).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use steadfast::{Backoff, Consumer, HandlerError, Message, Retry, store::MemoryStore};
use steadfast_mock::MockBroker;
use tokio::time::Instant;

use crate::support::{
    DEAD, Ledger, Order, Record, SOURCE, broker_with, by_id, consumer, failure, order,
};

fn failing_until(
    attempt: u32,
) -> impl Fn(Order, u32) -> std::future::Ready<Result<(), HandlerError>> {
    move |_, now| std::future::ready(if now < attempt { Err(failure("not yet")) } else { Ok(()) })
}

/// Runs one order that fails twice, its attempts an hour apart, and says how long it took.
async fn two_hours(broker: MockBroker) -> Duration {
    let retry = Retry::with_backoff(Backoff::fixed(Duration::from_secs(3600))).max_attempts(3);
    let begun = Ledger::default();
    let handler = Record { begun: begun.clone(), then: failing_until(3) };
    let started = Instant::now();
    broker.publish(SOURCE, order("a"));
    let _running = broker.start(consumer(handler).retry(retry).build(broker.clone()).unwrap());
    broker.until("the third attempt", |_| begun.count("a") == 3).await;
    let took = started.elapsed();
    broker.settled(SOURCE).await;
    broker.dead_letters(DEAD).expect_none();
    took
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_is_handed_to_the_broker_and_is_never_short() {
    let broker = MockBroker::new();
    let took = two_hours(broker.clone()).await;
    assert!(took >= Duration::from_secs(7200), "{took:?}");
    assert_eq!(broker.deliveries(SOURCE), 3);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_delays_by_copies_keeps_count_of_attempts() {
    let broker = MockBroker::new().delays_by_copy().without_delivery_counts();
    assert!(two_hours(broker).await >= Duration::from_secs(7200));
}

#[tokio::test(start_paused = true)]
async fn where_the_broker_cannot_delay_the_message_waits_in_place() {
    let broker = MockBroker::new().without_delay();
    assert!(two_hours(broker.clone()).await >= Duration::from_secs(7200));
    assert_eq!(broker.deliveries(SOURCE), 1, "its hold was extended for two hours");
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_not_retried() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let handler = Record {
        begun: begun.clone(),
        then: |_, _| async { Err(HandlerError::permanent("no such customer")) },
    };
    let _running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("a"), 1);
    broker.dead_letters(DEAD).expect_one().with_reason("permanent").after_attempts(1);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_message_is_not_tried_before_its_time() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let pause = Duration::from_secs(500);
    let handler = Record {
        begun: begun.clone(),
        then: move |_, attempt| async move {
            if attempt == 1 { Err(HandlerError::throttled("429", pause)) } else { Ok(()) }
        },
    };
    let started = Instant::now();
    let _running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("a"), 2);
    assert!(started.elapsed() >= pause);
}

#[tokio::test(start_paused = true)]
async fn a_message_beyond_its_maximum_age_is_given_up() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let handler = Record { begun: begun.clone(), then: failing_until(u32::MAX) };
    let retry = Retry::with_backoff(Backoff::fixed(Duration::from_secs(60)))
        .max_attempts(1000)
        .max_age(Duration::from_secs(200));
    let _running = broker.start(consumer(handler).retry(retry).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("a"), 4);
    broker.dead_letters(DEAD).expect_one().with_reason("expired");
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_leave_the_slots_to_others() {
    let broker = broker_with(&["bad"]);
    let begun = Ledger::default();
    let handler = Record {
        begun: begun.clone(),
        then: |order: Order, attempt| async move {
            if order.id == "bad" && attempt == 1 { Err(failure("once")) } else { Ok(()) }
        },
    };
    let retry = Retry::with_backoff(Backoff::fixed(Duration::from_secs(3600)))
        .in_place_up_to(Duration::MAX);
    let single = consumer(handler).retry(retry).concurrency(1).max_in_flight(4);
    let started = Instant::now();
    let _running = broker.start(single.build(broker.clone()).unwrap());
    broker.until("the first attempt", |_| begun.count("bad") == 1).await;
    broker.publish(SOURCE, order("good"));
    broker.until("the other message", |_| begun.count("good") == 1).await;
    assert!(started.elapsed() < Duration::from_secs(3600));
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("bad"), 2);
}

#[tokio::test(start_paused = true)]
async fn with_a_store_the_attempts_are_the_records_not_the_brokers() {
    let broker = MockBroker::new();
    let begun = Ledger::default();
    let store = MemoryStore::new();
    // The broker has handed it over often, to consumers that were busy or stopping.
    let handler = Record { begun: begun.clone(), then: failing_until(u32::MAX) };
    broker.publish(
        SOURCE,
        Message::new("{\"id\":\"a\"}")
            .with_header("steadfast-retry-attempts", "99")
            .with_header("steadfast-retry-source", SOURCE),
    );
    let stored = consumer(handler).store(store).dedup_key(by_id());
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("a"), 3);
    broker.dead_letters(DEAD).expect_one().after_attempts(3);
}

#[tokio::test(start_paused = true)]
async fn attempts_made_in_place_count_after_the_broker_has_had_the_message() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let handler = Record { begun: begun.clone(), then: failing_until(u32::MAX) };
    let waits = Backoff::custom(|n| Some(Duration::from_secs(if n < 4 { 1 } else { 60 })));
    let retry = Retry::with_backoff(waits).max_attempts(6);
    let _running = broker.start(consumer(handler).retry(retry).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("a"), 6);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_of_dead_letters_counts_its_own_attempts() {
    let broker = MockBroker::new().delays_by_copy().without_delivery_counts();
    broker.publish(DEAD, dead_letter().await);
    let begun = Ledger::default();
    let handler = Record { begun: begun.clone(), then: failing_until(u32::MAX) };
    let undertaker = Consumer::builder("undertaker", handler)
        .source(DEAD)
        .group("undertaker")
        .dead_letter("dead.for.good")
        .retry(Retry::with_backoff(Backoff::fixed(Duration::from_secs(60))).max_attempts(3));
    let _running = broker.start(undertaker.build(broker.clone()).unwrap());
    broker.settled(DEAD).await;
    assert_eq!(begun.count("a"), 3);
    broker.dead_letters("dead.for.good").expect_one().after_attempts(3);
}

async fn dead_letter() -> Message {
    let broker = broker_with(&["a"]);
    let handler = Record {
        begun: Ledger::default(),
        then: |_, _| async { Err(HandlerError::permanent("no")) },
    };
    let _running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    broker.messages(DEAD).remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_panicking_backoff_is_survived() {
    let broker = broker_with(&["a", "b"]);
    let begun = Ledger::default();
    let handler = Record { begun: begun.clone(), then: failing_until(2) };
    let armed = Arc::new(AtomicBool::new(false));
    let waits = {
        let armed = armed.clone();
        Backoff::custom(move |_| {
            assert!(!armed.load(Ordering::Relaxed), "in the backoff");
            Some(Duration::from_secs(1))
        })
    };
    let retry = Retry::with_backoff(waits).max_attempts(3);
    let stored = consumer(handler).retry(retry).store(MemoryStore::new()).dedup_key(by_id());
    let consumer = stored.build(broker.clone()).unwrap();
    armed.store(true, Ordering::Relaxed);
    let started = Instant::now();
    let running = broker.start(consumer);
    broker.settled(SOURCE).await;
    assert!(started.elapsed() < Duration::from_secs(300));
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_refused_waits_in_place_and_holds_up_no_stop() {
    let broker = MockBroker::new().delays_by_copy();
    broker.faults().refuse_publishes("orders.retry", 1000);
    crate::support::publish(&broker, &["a", "b", "c", "d"]);
    let begun = Ledger::default();
    let start = || {
        let hour = Duration::from_secs(3600);
        let handler = Record {
            begun: begun.clone(),
            then: move |_, _| async move { Err(HandlerError::throttled("429", hour)) },
        };
        let small = consumer(handler).concurrency(4).max_in_flight(4);
        broker.start(small.build(broker.clone()).unwrap())
    };
    let first = start();
    begun.reaches(4).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = Instant::now();
    first.stop().await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());

    let _second = start();
    begun.reaches(8).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    broker.faults().disconnect();
    let lost = Instant::now();
    begun.reaches(12).await;
    assert!(lost.elapsed() < Duration::from_secs(120), "{:?}", lost.elapsed());
}
