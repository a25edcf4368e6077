//! Derived consumers at work, on the mock broker in virtual time.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Deserialize;
use steadfast::{
    Consumer, Context, Handler, HandlerError, Message, OrderedBy, Retry, store::MemoryStore,
};
use steadfast_mock::MockBroker;

#[derive(Deserialize)]
struct Order {
    id: String,
    customer: Customer,
}

#[derive(Deserialize)]
struct Customer {
    number: u64,
}

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = "customer.number",
    retry(max_attempts = 3, backoff = fixed("1h"), in_place_up_to = "2h"),
    filter = is_placed,
    limits(payload = "1KiB")
)]
struct ChargeCard {
    charged: Arc<Mutex<Vec<String>>>,
}

fn is_placed(message: &Message) -> bool {
    message.headers.first("kind").is_none_or(|kind| kind == "placed")
}

impl Handler for ChargeCard {
    type Message = Order;

    async fn handle(&self, order: Order, _: &mut Context<'_>) -> Result<(), HandlerError> {
        if order.id == "unpayable" {
            return Err(HandlerError::transient("no answer from the bank"));
        }
        self.charged.lock().unwrap().push(order.id);
        Ok(())
    }
}

fn order(id: &str, customer: u64) -> Message {
    Message::new(format!(r#"{{"id": {id:?}, "customer": {{"number": {customer}}}}}"#))
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_is_done() {
    let broker = MockBroker::new();
    broker.publish("orders", order("first", 1));
    broker.publish("orders", order("first again", 1).with_header("kind", "cancelled"));
    broker.publish("orders", order("unpayable", 2));
    broker.publish("orders", Message::new(" ".repeat(1025)));
    let charged = Arc::default();
    let consumer = Consumer::of(ChargeCard { charged: Arc::clone(&charged) });
    let consumer = consumer.store(MemoryStore::new()).build(broker.clone()).unwrap();
    let begin = tokio::time::Instant::now();
    let running = broker.start(consumer);
    broker.settled("orders").await;

    broker.publish("orders", order("first", 1));
    broker.settled("orders").await;
    assert_eq!(*charged.lock().unwrap(), ["first"]);
    assert!(begin.elapsed() >= Duration::from_secs(2 * 60 * 60), "{:?}", begin.elapsed());
    let letters = broker.dead_letters("orders.dead");
    assert_eq!(letters.len(), 2);
    letters
        .iter()
        .find(|letter| letter.message().payload.as_ref().unwrap().len() > 1024)
        .unwrap()
        .with_reason("oversize");
    letters.iter().last().unwrap().with_reason("exhausted").after_attempts(3);
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_builder_has_the_last_word() {
    let broker = MockBroker::new();
    broker.publish("refunds", order("unpayable", 2));
    let consumer = Consumer::of(ChargeCard { charged: Arc::default() })
        .source("refunds")
        .dead_letter("refunds.dead")
        .retry(Retry::default().max_attempts(1))
        .store(MemoryStore::new());
    let _running = broker.start(consumer.build(broker.clone()).unwrap());
    broker.settled("refunds").await;
    broker.dead_letters("refunds.dead").expect_one().with_reason("exhausted").after_attempts(1);
}

#[tokio::test(start_paused = true)]
async fn a_configuration_file_has_the_last_word() {
    let broker = MockBroker::new();
    broker.publish("orders", order("unpayable", 2));
    let settings = r#"{ "dead_letter": "buried", "retry": { "max_attempts": 2 } }"#;
    let consumer = Consumer::of(ChargeCard { charged: Arc::default() })
        .configure(serde_json::from_str(settings).unwrap())
        .store(MemoryStore::new());
    let _running = broker.start(consumer.build(broker.clone()).unwrap());
    broker.settled("orders").await;
    broker.dead_letters("buried").expect_one().with_reason("exhausted").after_attempts(2);
}

#[derive(Consumer)]
#[consumer(
    name = "everything",
    source = "s",
    group = "g",
    dead_letter = "d",
    dedup_key = header("delivery"),
    retry(
        max_attempts = 7,
        backoff = exponential("100ms", "1m"),
        floor = "10ms",
        jitter = full,
        max_age = "1d"
    ),
    breaker(failure_ratio = 1, window = 5, believed_for = "3h", probes = exponential("2s", "1m"), floor = "1s"),
    ordered_by = header("customer"),
    concurrency = 3,
    max_in_flight = 30,
    max_in_flight_bytes = "1MiB",
    waiting_share = 0.25,
    timeout = "4s",
    grace = "5ms",
    drain = "6m",
    lease = "7s",
    lease_cap = "8h",
    retention = "9d",
    transactional,
    generation = 10,
    limits(payload = 11, key = 12, headers = 13, header_bytes = 14),
    stalled_after = "15s",
    acknowledge("long-drain", "order-not-kept"),
    codec = steadfast::Json
)]
struct Everything;

impl Handler for Everything {
    type Message = Order;

    async fn handle(&self, _: Order, _: &mut Context<'_>) -> Result<(), HandlerError> {
        Ok(())
    }
}

mod facade {
    pub(crate) use ::steadfast;
}

#[derive(facade::steadfast::Consumer)]
#[consumer(
    crate = facade::steadfast,
    name = "elsewhere", source = "s", group = "g", dead_letter = "d",
    dedup_key = "id", codec = facade::steadfast::Json,
    retry(max_attempts = 2, backoff = fixed("1s")), limits(payload = 11)
)]
struct Elsewhere;

impl Handler for Elsewhere {
    type Message = Order;

    async fn handle(&self, _: Order, _: &mut Context<'_>) -> Result<(), HandlerError> {
        Ok(())
    }
}

#[test]
fn the_crate_may_be_had_from_another_one() {
    assert!(format!("{:?}", Consumer::of(Elsewhere)).contains("elsewhere"));
}

/// Every option reaches the builder: the same words by hand make the same policy.
#[test]
fn the_derive_says_what_the_builder_says() {
    use steadfast::{Backoff, BreakerPolicy, DedupKey, Limits};

    let secs = Duration::from_secs;
    let mut limits = Limits::default();
    (limits.payload, limits.key, limits.headers, limits.header_bytes) = (11, 12, 13, 14);
    let backoff = Backoff::exponential(Duration::from_millis(100), secs(60));
    let retry = Retry::with_backoff(backoff.floor(Duration::from_millis(10)));
    let probes = Backoff::exponential(secs(2), secs(60)).floor(secs(1));
    let by_hand = Consumer::builder("everything", Everything)
        .source("s")
        .group("g")
        .dead_letter("d")
        .dedup_key(DedupKey::header("delivery"))
        .retry(retry.max_attempts(7).max_age(secs(24 * 60 * 60)))
        .breaker(
            BreakerPolicy::default()
                .failure_ratio(1.0, 5)
                .believed_for(secs(3 * 60 * 60))
                .probes(probes),
        )
        .ordered_by(OrderedBy::Header("customer".into()))
        .concurrency(3)
        .max_in_flight(30)
        .max_in_flight_bytes(1 << 20)
        .waiting_share(0.25)
        .timeout(secs(4))
        .grace(Duration::from_millis(5))
        .drain(secs(6 * 60))
        .lease(secs(7))
        .lease_cap(secs(8 * 60 * 60))
        .retention(secs(9 * 24 * 60 * 60))
        .transactional()
        .generation(10)
        .limits(limits)
        .stalled_after(secs(15))
        .acknowledge("long-drain")
        .acknowledge("order-not-kept");
    assert_eq!(format!("{:?}", Consumer::of(Everything)), format!("{by_hand:?}"));
}
