//! Memory is bounded (P14), and nothing sits idle and healthy.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use steadfast::{
    Backoff, Context, Delivery, Handler, HandlerError, Message, Origin, Receipt, Retry, RunError,
    Shutdown,
    broker::{
        Broker, BrokerError, Capabilities, Demand, Publish, Settle, SettleError, Source,
        Subscription,
    },
    handler_fn,
};
use steadfast_mock::MockBroker;

use crate::support::{Ledger, Order, Plain, Record, SOURCE, broker_with, consumer, failure, order};

#[tokio::test(start_paused = true)]
async fn no_more_is_held_than_the_bound_whatever_the_backlog() {
    let ids: Vec<_> = (0..500).map(|n| n.to_string()).collect();
    let broker = broker_with(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let handler = Record { begun: Ledger::default(), then: |_, _| async { Ok(()) } };
    let bounded = consumer(handler).concurrency(3).max_in_flight(7);
    let _running = broker.start(bounded.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert!(broker.max_unsettled(SOURCE) <= 7, "{}", broker.max_unsettled(SOURCE));
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_too_and_one_large_message_still_passes() {
    let broker = MockBroker::new();
    for n in 0..50 {
        let id = format!("{n}{}", "x".repeat(1000));
        broker.publish(SOURCE, Message::new(format!("{{\"id\":\"{id}\"}}")));
    }
    broker.publish(SOURCE, Message::new(format!("{{\"id\":\"{}\"}}", "y".repeat(100_000))));
    let handler = Record {
        begun: Ledger::default(),
        then: |_, _| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        },
    };
    let bounded = consumer(handler).max_in_flight(64).max_in_flight_bytes(5_000);
    let _running = broker.start(bounded.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert!(broker.max_unsettled(SOURCE) <= 6, "{}", broker.max_unsettled(SOURCE));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_retry_counts() {
    let ids: Vec<_> = (0..300).map(|n| n.to_string()).collect();
    let broker = MockBroker::new().without_delay();
    crate::support::publish(&broker, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    let handler = Record {
        begun: Ledger::default(),
        then: |order: Order, attempt| async move {
            let fails = attempt == 1 && order.id.ends_with('3');
            if fails { Err(failure("once")) } else { Ok(()) }
        },
    };
    let retry = Retry::with_backoff(Backoff::fixed(Duration::from_secs(3600)));
    let bounded = consumer(handler).retry(retry).concurrency(2).max_in_flight(10);
    let _running = broker.start(bounded.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert!(broker.max_unsettled(SOURCE) <= 10);
}

/// A broker of a user's own that knows no bound but the demand.
#[derive(Clone, Default)]
struct Flood(Arc<Held>);

#[derive(Default)]
struct Held {
    delivered: AtomicU64,
    now: AtomicU64,
    most: AtomicU64,
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const FLOOD: u64 = 5000;
const SIZE: usize = 100;

#[async_trait]
impl Broker for Flood {
    fn system(&self) -> &'static str {
        "flood"
    }

    async fn subscribe(&self, _: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        Ok(Arc::new(self.clone()))
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        MockBroker::new().publisher().await
    }
}

#[async_trait]
impl Source for Flood {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < demand.messages && bytes < demand.bytes {
            let tag = self.0.delivered.fetch_add(1, Ordering::Relaxed);
            if tag >= FLOOD {
                break;
            }
            bytes += SIZE;
            let message = Message::new(format!("{{\"id\":\"{tag:0>91}\"}}"));
            batch.push(Delivery::new(message, Origin::new(SOURCE), Receipt::new(1, tag)));
        }
        if batch.is_empty() {
            std::future::pending::<()>().await;
        }
        let held = self.0.now.fetch_add(batch.len() as u64, Ordering::Relaxed) + batch.len() as u64;
        self.0.most.fetch_max(held, Ordering::Relaxed);
        Ok(batch)
    }

    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        self.0.now.fetch_sub(batch.len() as u64, Ordering::Relaxed);
        batch.iter().map(|_| Ok(())).collect()
    }

    async fn extend(&self, receipts: &[Receipt]) -> Vec<Result<(), SettleError>> {
        receipts.iter().map(|_| Ok(())).collect()
    }

    async fn stop(&self) {}

    async fn close(&self) {}
}

/// The most that was held of a flood.
async fn most_held(bound: impl Fn(Plain<Slow>) -> Plain<Slow>) -> u64 {
    let flood = Flood::default();
    let done = Ledger::default();
    let consumer = bound(consumer(Slow(done.clone()))).build(flood.clone()).unwrap();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    done.reaches(1000).await;
    shutdown.trigger();
    // What this source has handed out when it is stopped, it does not take back.
    let _ = running.await.unwrap();
    flood.0.most.load(Ordering::Relaxed)
}

struct Slow(Ledger);

impl Handler for Slow {
    type Message = Order;

    async fn handle(&self, order: Order, _: &mut Context<'_>) -> Result<(), HandlerError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.0.done(order.id)
    }
}

#[tokio::test(start_paused = true)]
async fn the_demand_itself_is_bounded() {
    let by_messages = most_held(|slow| slow.concurrency(4).max_in_flight(9)).await;
    assert_eq!(by_messages, 9);
    let bytes = SIZE * 5 - 1;
    let by_bytes = most_held(|slow| slow.max_in_flight(100).max_in_flight_bytes(bytes)).await;
    assert_eq!(by_bytes, 5);
}

/// A broker of a user's own whose sessions deliver nothing although a message waits, as a
/// half-dead connection does; the session of this number delivers.
struct Zombie {
    sessions: Ledger,
    delivers: usize,
    mock: MockBroker,
}

struct ZombieSource {
    delivers: bool,
    sent: AtomicBool,
}

#[async_trait]
impl Broker for Zombie {
    fn system(&self) -> &'static str {
        "zombie"
    }

    async fn subscribe(&self, _: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        self.sessions.add("session");
        let delivers = self.sessions.entries().len() == self.delivers;
        Ok(Arc::new(ZombieSource { delivers, sent: false.into() }))
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        self.mock.publisher().await
    }
}

#[async_trait]
impl Source for ZombieSource {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn receive(&self, _: Demand) -> Result<Vec<Delivery>, BrokerError> {
        if self.delivers && !self.sent.swap(true, Ordering::Relaxed) {
            let origin = Origin::new(SOURCE);
            return Ok(vec![Delivery::new(order("a"), origin, Receipt::new(1, 1))]);
        }
        std::future::pending().await
    }

    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        batch.iter().map(|_| Ok(())).collect()
    }

    async fn extend(&self, receipts: &[Receipt]) -> Vec<Result<(), SettleError>> {
        receipts.iter().map(|_| Ok(())).collect()
    }

    async fn stop(&self) {}

    async fn close(&self) {}

    async fn backlog(&self) -> Result<Option<u64>, BrokerError> {
        Ok(Some(1))
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_delivers_nothing_is_renewed() {
    let sessions = Ledger::default();
    let broker = Zombie { sessions: sessions.clone(), delivers: 3, mock: MockBroker::new() };
    let (done, shutdown) = (Ledger::default(), Shutdown::new());
    let handler = Record {
        begun: done.clone(),
        then: {
            let shutdown = shutdown.clone();
            move |_, _| {
                shutdown.trigger();
                std::future::ready(Ok(()))
            }
        },
    };
    let run = consumer(handler).build(broker).unwrap().run(shutdown);
    tokio::time::timeout(DAY, run).await.expect("a renewal").unwrap();
    assert_eq!((done.entries().len(), sessions.entries().len()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_cannot_be_brought_to_deliver_ends_with_an_error() {
    let broker = Zombie { sessions: Ledger::default(), delivers: 0, mock: MockBroker::new() };
    let handler = handler_fn(|_: Order| async { Ok(()) });
    let run = consumer(handler).build(broker).unwrap().run(Shutdown::new());
    let ended = tokio::time::timeout(DAY, run).await.expect("an end");
    assert!(matches!(ended, Err(RunError::Stalled { .. })), "{ended:?}");
}
