//! Stopping is not failing (P9).

use std::{sync::Arc, time::Duration};

use steadfast::{
    Context, Delivery, Handler, HandlerError, Next, Outcome, from_fn,
    store::{Key, MemoryStore, RecordId, Scope, Store},
};
use steadfast_mock::MockBroker;
use tokio::{sync::Semaphore, time::Instant};

use crate::support::{DEAD, Ledger, Order, Record, SOURCE, broker_with, by_id, consumer, failure};

#[tokio::test(start_paused = true)]
async fn what_runs_is_finished_and_what_has_not_started_goes_back_at_once() {
    let broker = broker_with(&["a", "b", "c"]);
    let (begun, ended) = (Ledger::default(), Ledger::default());
    let gate = Arc::new(Semaphore::new(0));
    let handler = Record {
        begun: begun.clone(),
        then: {
            let (gate, ended) = (gate.clone(), ended.clone());
            move |order: Order, _| {
                let (gate, ended) = (gate.clone(), ended.clone());
                async move {
                    let _ = gate.acquire().await;
                    ended.add(order.id);
                    Ok(())
                }
            }
        },
    };
    let single = consumer(handler).concurrency(1).max_in_flight(3);
    let running = broker.start(single.build(broker.clone()).unwrap());
    broker.until("all to be prefetched", |broker| broker.unsettled(SOURCE) == 3).await;
    broker.until("one to run", |_| begun.entries().len() == 1).await;
    let stopping = tokio::spawn(running.stop());
    broker.until("the rest to go back", |broker| broker.backlog(SOURCE) == 2).await;
    assert_eq!(ended.entries().len(), 0);
    gate.add_permits(1);
    stopping.await.unwrap().unwrap();
    assert_eq!((begun.entries(), ended.entries()), (vec!["a".to_owned()], vec!["a".to_owned()]));
    broker.dead_letters(DEAD).expect_none();
}

/// Never ends, not even when asked to.
struct Hang(Ledger);

impl Handler for Hang {
    type Message = Order;

    async fn handle(&self, order: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        self.0.add(format!("{} {}", order.id, cx.attempt()));
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn ten_deploys_during_one_handler_use_up_no_attempt() {
    let broker = broker_with(&["a"]);
    let store = MemoryStore::new();
    let begun = Ledger::default();
    for deploy in 1..=10 {
        let stored = consumer(Hang(begun.clone()))
            .store(store.clone())
            .dedup_key(by_id())
            .timeout(Duration::from_secs(3000))
            .drain(Duration::from_secs(10));
        let running = broker.start(stored.build(broker.clone()).unwrap());
        broker.until("it to run", |_| begun.entries().len() == deploy).await;
        let asked = Instant::now();
        running.stop().await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    }
    assert_eq!(begun.count("a 1"), 10, "{:?}", begun.entries());
    let id = RecordId::new(Scope::new("test.orders", "test", 0).unwrap(), Key::new("a").unwrap());
    assert_eq!(store.look(&id).await.unwrap().unwrap().attempts, 0);
    broker.dead_letters(DEAD).expect_none();
}

/// Stops when it is asked to, with an error, as cancelled work often does.
struct Polite(Ledger);

impl Handler for Polite {
    type Message = Order;

    async fn handle(&self, order: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        self.0.add(order.id);
        let reason = cx.cancellation().cancelled().await;
        self.0.add(reason);
        Err(HandlerError::permanent("stopped in the middle"))
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_cancelled_handler_is_not_its_messages_failure() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let polite = consumer(Polite(begun.clone())).timeout(Duration::from_secs(3000));
    let running = broker.start(polite.build(broker.clone()).unwrap());
    broker.until("it to run", |_| begun.count("a") == 1).await;
    running.stop().await.unwrap();
    assert_eq!(begun.count("shutdown"), 1);
    assert_eq!(broker.backlog(SOURCE), 1);
    broker.dead_letters(DEAD).expect_none();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_its_retry_does_not_hold_up_the_stop() {
    let broker = MockBroker::new().without_delay();
    broker.publish(SOURCE, crate::support::order("a"));
    let begun = Ledger::default();
    let handler = Record { begun: begun.clone(), then: |_, _| async { Err(failure("x")) } };
    let hour = steadfast::Backoff::fixed(Duration::from_secs(3600));
    let waiting = consumer(handler).retry(steadfast::Retry::with_backoff(hour));
    let running = broker.start(waiting.build(broker.clone()).unwrap());
    broker.until("the first attempt", |_| begun.count("a") == 1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = Instant::now();
    running.stop().await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert_eq!(broker.backlog(SOURCE), 1);
}

#[tokio::test(start_paused = true)]
async fn what_runs_when_its_session_is_lost_is_told_and_given_back() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let polite = consumer(Polite(begun.clone())).timeout(Duration::from_secs(3000));
    let running = broker.start(polite.build(broker.clone()).unwrap());
    broker.until("it to run", |_| begun.count("a") == 1).await;
    broker.faults().disconnect();
    broker.until("it to run again", |_| begun.count("a") == 2).await;
    assert_eq!(begun.entries(), ["a", "revoked", "a"]);
    running.stop().await.unwrap();
    broker.dead_letters(DEAD).expect_none();
}

#[tokio::test(start_paused = true)]
async fn stops_do_not_wear_out_messages_that_never_ran() {
    let broker = MockBroker::new();
    let ids: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    crate::support::publish(&broker, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    let begun = Ledger::default();
    for stops in 1..=6 {
        let hanging = consumer(Hang(begun.clone())).concurrency(1).max_in_flight(20);
        let built = hanging.drain(Duration::from_secs(1)).build(broker.clone());
        let running = broker.start(built.unwrap());
        begun.reaches(stops).await;
        running.stop().await.unwrap();
    }
    broker.dead_letters(DEAD).expect_none();
    let handler = Record { begun: Ledger::default(), then: |_, _| async { Ok(()) } };
    let _running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    broker.dead_letters(DEAD).expect_none();
}

/// A handler that takes so long.
fn takes(time: Duration, begun: &Ledger) -> impl Handler<Message = Order> {
    let then = move |_, _| async move {
        tokio::time::sleep(time).await;
        Ok(())
    };
    Record { begun: begun.clone(), then }
}

async fn until_cancelled(delivery: &mut Delivery, next: Next<'_>) -> Outcome {
    let cancellation = delivery.cancellation().clone();
    cancellation.cancelled().await;
    next.run(delivery).await
}

#[tokio::test(start_paused = true)]
async fn no_handler_begins_on_what_was_taken_back() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let handler = takes(Duration::from_millis(1), &begun);
    let layered = consumer(handler).inner(from_fn(until_cancelled));
    let running = broker.start(layered.build(broker.clone()).unwrap());
    broker.until("it to be taken", |broker| broker.deliveries(SOURCE) == 1).await;
    broker.faults().disconnect();
    broker.until("it to come again", |broker| broker.deliveries(SOURCE) == 2).await;
    running.stop().await.unwrap();
    assert_eq!(begun.entries().len(), 0);
}

/// Nobody asks a session for more while it drains.
#[tokio::test(start_paused = true)]
async fn a_long_drain_is_not_taken_for_a_session_that_stalls() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let handler = takes(Duration::from_secs(15), &begun);
    let consumer = consumer(handler).stalled_after(Duration::from_secs(5));
    let running = broker.start(consumer.build(broker.clone()).unwrap());
    broker.until("it to run", |_| begun.count("a") == 1).await;
    running.shutdown().trigger();
    tokio::task::yield_now().await;
    crate::support::publish(&broker, &["b", "c"]);
    running.stop().await.unwrap();
    assert_eq!((broker.backlog(SOURCE), begun.entries().len()), (2, 1));
}
