//! Order per key, also through a retry (P13).

use std::time::Duration;

use steadfast::{
    Backoff, Cause, Delivery, Next, OrderedBy, Outcome, Retry, from_fn, store::MemoryStore,
};
use steadfast_mock::MockBroker;
use tokio::time::Instant;

use crate::support::{DEAD, Ledger, Order, Record, SOURCE, by_id, consumer, failure, order};

const WAIT: Duration = Duration::from_secs(3600);

/// Orders `key.n` of some keys, published in turn.
fn publish(broker: &MockBroker, keys: &[&str], each: usize) {
    for n in 0..each {
        for key in keys {
            broker.publish(SOURCE, order(format!("{key}.{n}")).with_key(key.to_string()));
        }
    }
}

fn in_order(ledger: &Ledger, key: &str, each: usize) {
    let of_key: Vec<_> =
        ledger.entries().into_iter().filter(|id| id.starts_with(&format!("{key}."))).collect();
    let expected: Vec<_> = (0..each).map(|n| format!("{key}.{n}")).collect();
    assert_eq!(of_key, expected);
}

/// A handler that fails the first attempt at these orders, and notes effects.
fn failing_once(
    ids: &'static [&'static str],
    effects: &Ledger,
) -> impl steadfast::Handler<Message = Order> + use<> {
    let effects = effects.clone();
    Record {
        begun: Ledger::default(),
        then: move |order: Order, attempt| {
            let fails = attempt == 1 && ids.contains(&order.id.as_str());
            let outcome = if fails { Err(failure("once")) } else { effects.done(order.id) };
            std::future::ready(outcome)
        },
    }
}

#[tokio::test(start_paused = true)]
async fn the_messages_of_a_key_wait_for_its_retry_and_other_keys_go_on() {
    let broker = MockBroker::new().ordered();
    publish(&broker, &["a", "b", "c"], 5);
    let effects = Ledger::default();
    let started = Instant::now();
    let ordered = consumer(failing_once(&["a.1"], &effects))
        .ordered_by(OrderedBy::Key)
        .retry(Retry::with_backoff(Backoff::fixed(WAIT)))
        .store(MemoryStore::new())
        .dedup_key(by_id());
    let _running = broker.start(ordered.build(broker.clone()).unwrap());
    broker.until("the other keys", |_| effects.entries().len() == 11).await;
    assert!(started.elapsed() < WAIT);
    broker.settled(SOURCE).await;
    for key in ["a", "b", "c"] {
        in_order(&effects, key, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn the_messages_of_a_partition_wait_for_each_other_whatever_their_keys() {
    let broker = MockBroker::new().ordered();
    publish(&broker, &["a", "b", "c"], 3);
    let effects = Ledger::default();
    let ordered = consumer(failing_once(&["b.1"], &effects))
        .ordered_by(OrderedBy::Partition)
        .retry(Retry::with_backoff(Backoff::fixed(WAIT)));
    let _running = broker.start(ordered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    let expected: Vec<_> =
        (0..3).flat_map(|n| ["a", "b", "c"].map(|key| format!("{key}.{n}"))).collect();
    assert_eq!(effects.entries(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_waits_beyond_its_share_pauses_intake() {
    let broker = MockBroker::new().ordered();
    let effects = Ledger::default();
    let ordered = consumer(failing_once(&["a.0"], &effects))
        .ordered_by(OrderedBy::Key)
        .retry(Retry::with_backoff(Backoff::fixed(WAIT)))
        .concurrency(4)
        .max_in_flight(20);
    let consumer = ordered.build(broker.clone()).unwrap();
    let health = consumer.health();
    let _running = broker.start(consumer);
    health.ready().await;
    for n in 0..30 {
        // One by one, so that no single call takes more than the share.
        broker.publish(SOURCE, order(format!("a.{n}")).with_key("a"));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let held = broker.unsettled(SOURCE);
    assert!((10..=12).contains(&held), "{held} of 20 are held, the share is 10");
    broker.settled(SOURCE).await;
    in_order(&effects, "a", 30);
}

async fn hands_back_once(delivery: &mut Delivery, next: Next<'_>) -> Outcome {
    let first = delivery.broker_deliveries == Some(1);
    if first && delivery.message.payload.as_deref() == Some(b"{\"id\":\"a.0\"}") {
        return Outcome::release(Cause::Unknown);
    }
    next.run(delivery).await
}

#[tokio::test(start_paused = true)]
async fn what_stands_behind_a_message_that_is_handed_back_does_not_overtake_it() {
    let broker = MockBroker::new().ordered();
    publish(&broker, &["a", "b"], 5);
    let effects = Ledger::default();
    let ordered = consumer(failing_once(&[], &effects))
        .ordered_by(OrderedBy::Key)
        .outer(from_fn(hands_back_once));
    let _running = broker.start(ordered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    in_order(&effects, "a", 5);
    in_order(&effects, "b", 5);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_lets_its_key_go_on() {
    let broker = MockBroker::new().ordered();
    publish(&broker, &["a"], 3);
    let effects = Ledger::default();
    let handler = Record {
        begun: Ledger::default(),
        then: {
            let effects = effects.clone();
            move |order: Order, _| {
                let fails = order.id == "a.1";
                let outcome = if fails { Err(failure("always")) } else { effects.done(order.id) };
                std::future::ready(outcome)
            }
        },
    };
    let ordered = consumer(handler).ordered_by(OrderedBy::Key);
    let _running = broker.start(ordered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(effects.entries(), ["a.0", "a.2"]);
    broker.dead_letters(DEAD).expect_one().with_reason("exhausted");
}

#[tokio::test(start_paused = true)]
async fn order_survives_disconnects_and_handovers() {
    let broker = MockBroker::new().ordered();
    publish(&broker, &["a", "b", "c", "d"], 25);
    let store = MemoryStore::new();
    let effects = Ledger::default();
    let start = || {
        let effects = effects.clone();
        let handler = Record {
            begun: Ledger::default(),
            then: move |order: Order, attempt| {
                let effects = effects.clone();
                async move {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    if order.id.ends_with('7') && attempt == 1 {
                        return Err(failure("once"));
                    }
                    effects.done(order.id)
                }
            },
        };
        let ordered = consumer(handler)
            .ordered_by(OrderedBy::Key)
            .store(store.clone())
            .dedup_key(by_id())
            .retry(Retry::default().max_attempts(20));
        broker.start(ordered.build(broker.clone()).unwrap())
    };
    let first = start();
    let _second = start();
    for round in 1..4 {
        broker.until("some effects", |_| effects.entries().len() > round * 15).await;
        broker.faults().disconnect();
    }
    first.stop().await.unwrap();
    broker.settled(SOURCE).await;
    for key in ["a", "b", "c", "d"] {
        in_order(&effects, key, 25);
    }
}

#[tokio::test(start_paused = true)]
async fn no_lane_starves_behind_a_busy_one() {
    let broker = MockBroker::new().ordered();
    publish(&broker, &["busy"], 40);
    publish(&broker, &["quiet"], 1);
    let effects = Ledger::default();
    let ordered = consumer(failing_once(&[], &effects))
        .ordered_by(OrderedBy::Key)
        .concurrency(1)
        .max_in_flight(64);
    let _running = broker.start(ordered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    let place = effects.entries().iter().position(|id| id == "quiet.0").unwrap();
    assert!(place <= 3, "the quiet key came at place {place}");
}

#[tokio::test(start_paused = true)]
async fn lanes_can_follow_a_header() {
    let broker = MockBroker::new().ordered();
    for n in 0..6 {
        let tenant = if n % 2 == 0 { "x" } else { "y" };
        broker.publish(
            SOURCE,
            order(format!("{tenant}.{}", n / 2)).with_key(tenant).with_header("tenant", tenant),
        );
    }
    let effects = Ledger::default();
    let ordered =
        consumer(failing_once(&["x.0"], &effects)).ordered_by(OrderedBy::Header("tenant".into()));
    let _running = broker.start(ordered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    in_order(&effects, "x", 3);
    in_order(&effects, "y", 3);
}
