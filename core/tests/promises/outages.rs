//! Outages are not the message's fault (P8): pause, probe, recover, nothing dead-lettered.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use steadfast::{Backoff, BreakerPolicy, HandlerError, OrderedBy, Retry, store::MemoryStore};
use steadfast_mock::{FaultyStore, MockBroker};
use tokio::{
    sync::{Barrier, Semaphore},
    time::Instant,
};

use crate::{
    picky::Picky,
    support::{
        DEAD, Ledger, Order, Record, SOURCE, broker_with, by_id, consumer, down, failure, order,
        publish,
    },
};

const OUTAGE: Duration = Duration::from_secs(600);

fn many() -> Vec<String> {
    (0..200).map(|n| format!("m{n}")).collect()
}

fn published() -> (MockBroker, Vec<String>) {
    let ids = many();
    let broker = broker_with(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    (broker, ids)
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_starts_no_attempt_and_dead_letters_nothing() {
    let (broker, ids) = published();
    let store = FaultyStore::new(MemoryStore::new());
    store.take_down();
    let begun = Ledger::default();
    let handler = Record { begun: begun.clone(), then: |_, _| async { Ok(()) } };
    let built = consumer(handler).store(store.clone()).dedup_key(by_id()).build(broker.clone());
    let consumer = built.unwrap();
    let health = consumer.health();
    let _running = broker.start(consumer);
    down(&health, "store").await;
    tokio::time::sleep(OUTAGE).await;
    assert_eq!((health.reasons(), begun.entries().len()), (vec!["store".to_owned()], 0));
    assert!(broker.max_unsettled(SOURCE) <= 64);
    store.bring_up();
    broker.settled(SOURCE).await;
    assert!(ids.iter().all(|id| begun.count(id) == 1));
    broker.dead_letters(DEAD).expect_none();
    assert!(health.is_ready());
}

/// Runs one message whose first attempt loses the store in the middle of its transaction, and
/// returns by which attempts it was run.
async fn attempts_with_an_outage_in_the_first(then: Result<(), HandlerError>) -> Vec<String> {
    let broker = broker_with(&["a"]);
    let store = FaultyStore::new(MemoryStore::new());
    let attempts = Ledger::default();
    let first = std::sync::Mutex::new(Some(then));
    let handler = {
        let (store, attempts) = (store.clone(), attempts.clone());
        move |_: Order, attempt: u32| {
            attempts.add(attempt);
            let first = first.lock().unwrap().take();
            ready(first.map_or(Ok(()), |then| {
                store.take_down();
                then
            }))
        }
    };
    let handler = Record { begun: Ledger::default(), then: handler };
    let stored = consumer(handler).store(store.clone()).dedup_key(by_id()).transactional();
    let consumer = stored.build(broker.clone()).unwrap();
    let health = consumer.health();
    let _running = broker.start(consumer);
    down(&health, "store").await;
    store.bring_up();
    broker.settled(SOURCE).await;
    broker.dead_letters(DEAD).expect_none();
    attempts.entries()
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_breaks_a_transaction_uses_up_no_attempt() {
    for then in [Ok(()), Err(failure("connection reset")), Err(HandlerError::permanent("reset"))] {
        let said = format!("{then:?}");
        assert_eq!(attempts_with_an_outage_in_the_first(then).await, ["1", "1"], "{said}");
    }
}

/// Those who wait for the store have seen no other outage; one of them must find out when that is over.
#[tokio::test(start_paused = true)]
async fn what_goes_down_while_others_wait_for_the_store_is_probed_by_them() {
    let ids: Vec<String> = (0..12).map(|n| format!("m{n}")).collect();
    let broker = broker_with(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let store = FaultyStore::new(MemoryStore::new());
    let begun = Ledger::default();
    let gates = Arc::new([Semaphore::new(0), Semaphore::new(0)]);
    let handler = Record {
        begun: begun.clone(),
        then: {
            let (gates, refused) = (Arc::clone(&gates), Arc::new(AtomicBool::new(false)));
            move |order: Order, _| {
                let (gates, refused) = (Arc::clone(&gates), Arc::clone(&refused));
                async move {
                    let gate = ["m0", "m1"].iter().position(|id| *id == order.id);
                    let Some(gate) = gate else { return Ok(()) };
                    gates[gate].acquire().await.map_err(HandlerError::transient)?.forget();
                    let first = gate == 0 && !refused.swap(true, Ordering::Relaxed);
                    let error = HandlerError::unavailable("payments", "refused");
                    if first { Err(error) } else { Ok(()) }
                }
            }
        },
    };
    let stored = consumer(handler).store(store.clone()).dedup_key(by_id());
    let built = stored.concurrency(2).max_in_flight(8).build(broker.clone());
    let consumer = built.unwrap();
    let health = consumer.health();
    let _running = broker.start(consumer);
    begun.reaches(2).await;
    store.take_down();
    gates[1].add_permits(1);
    down(&health, "store").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    gates[0].add_permits(1);
    down(&health, "payments").await;
    store.bring_up();
    gates[0].add_permits(100);
    let minutes = tokio::time::timeout(OUTAGE, broker.settled(SOURCE));
    minutes.await.unwrap_or_else(|_| panic!("it stands still: {:?}", health.reasons()));
}

/// Their failures look like an outage, and were one: nobody waits the minutes that others make way for.
#[tokio::test(start_paused = true)]
async fn many_transactions_that_one_outage_breaks_go_on_at_once() {
    const AT_ONCE: usize = 40;
    let ids: Vec<String> = (0..AT_ONCE).map(|n| format!("m{n}")).collect();
    let broker = broker_with(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let (begun, all_begun) = (Ledger::default(), Arc::new(Barrier::new(AT_ONCE)));
    let handler = Record {
        begun: begun.clone(),
        then: {
            let begun = begun.clone();
            move |order: Order, attempt| {
                assert_eq!(attempt, 1, "it is nobody's failure");
                let first = begun.count(&order.id) == 1;
                let all_begun = Arc::clone(&all_begun);
                async move {
                    if first {
                        all_begun.wait().await;
                        return Err(failure("connection reset"));
                    }
                    Ok(())
                }
            }
        },
    };
    let store = Picky { loses_connections: true, ..Picky::default() };
    let stored = consumer(handler).store(store).dedup_key(by_id()).transactional();
    let consumer = stored.concurrency(AT_ONCE).build(broker.clone()).unwrap();
    let health = consumer.health();
    let _running = broker.start(consumer);
    let soon = tokio::time::timeout(Duration::from_secs(120), broker.settled(SOURCE));
    soon.await.unwrap_or_else(|_| panic!("they still wait: {:?}", health.reasons()));
    broker.dead_letters(DEAD).expect_none();
}

/// The database is there, and ends this message's connection each time.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_again_and_again_makes_no_hot_loop() {
    let lost = || Err(failure("lost"));
    loses_it_each_time(Picky { loses_connections: true, ..Picky::default() }, lost).await;
}

/// A handler that succeeds is no sign that it is back.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_at_each_commit_makes_no_hot_loop() {
    loses_it_each_time(Picky { loses_commits: true, ..Picky::default() }, || Ok(())).await;
}

async fn loses_it_each_time(
    store: Picky,
    then: impl Fn() -> Result<(), HandlerError> + Send + Sync + 'static,
) {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let handler = Record { begun: begun.clone(), then: move |_, _| ready(then()) };
    let stored = consumer(handler).store(store).dedup_key(by_id()).transactional();
    let consumer = stored.build(broker.clone()).unwrap();
    let health = consumer.health();
    let _running = broker.start(consumer);
    down(&health, "transaction").await;
    tokio::time::sleep(OUTAGE).await;
    assert!((10..100).contains(&begun.count("a")), "{} attempts", begun.count("a"));
    assert_eq!(health.reasons(), ["transaction"]);
    broker.dead_letters(DEAD).expect_none();
}

/// Runs 200 messages through an outage of what the handler calls, and returns how many attempts
/// were made during it.
async fn dependency_outage(
    named: &str,
    failing: impl Fn() -> HandlerError + Send + Sync + Clone + 'static,
) -> usize {
    let (broker, ids) = published();
    let is_down = Arc::new(AtomicBool::new(true));
    let (begun, finished) = (Ledger::default(), Ledger::default());
    let handler = Record {
        begun: begun.clone(),
        then: {
            let (is_down, finished) = (is_down.clone(), finished.clone());
            move |order: Order, _| {
                let outcome = if is_down.load(Ordering::Relaxed) {
                    Err(failing())
                } else {
                    finished.add(order.id);
                    Ok(())
                };
                std::future::ready(outcome)
            }
        },
    };
    let built =
        consumer(handler).store(MemoryStore::new()).dedup_key(by_id()).build(broker.clone());
    let consumer = built.unwrap();
    let health = consumer.health();
    let running = broker.start(consumer);
    down(&health, named).await;
    tokio::time::sleep(OUTAGE).await;
    broker.dead_letters(DEAD).expect_none();
    assert!(!health.is_ready());
    let attempts = begun.entries().len();
    is_down.store(false, Ordering::Relaxed);
    broker.settled(SOURCE).await;
    assert!(ids.iter().all(|id| finished.count(id) == 1));
    broker.dead_letters(DEAD).expect_none();
    running.stop().await.unwrap();
    attempts
}

#[tokio::test(start_paused = true)]
async fn a_dependency_reported_as_unavailable_pauses_intake_and_is_probed() {
    let attempts =
        dependency_outage("payments", || HandlerError::unavailable("payments", "refused")).await;
    assert!(attempts < 100, "{attempts} attempts in ten minutes of outage");
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_looks_like_failures_is_not_dead_lettered_either() {
    let attempts = dependency_outage("failure ratio", || failure("connection refused")).await;
    assert!(attempts < 200, "{attempts} attempts in ten minutes of outage");
}

#[tokio::test(start_paused = true)]
async fn probes_use_up_no_attempt_of_a_lone_message() {
    let broker = broker_with(&["a"]);
    let (begun, is_down) = (Ledger::default(), Arc::new(AtomicBool::new(true)));
    let handler = Record {
        begun: begun.clone(),
        then: {
            let is_down = is_down.clone();
            move |_, attempt| {
                let down = is_down.load(Ordering::Relaxed);
                assert_eq!(attempt, 1);
                let refused = HandlerError::unavailable("payments", "refused");
                std::future::ready(if down { Err(refused) } else { Ok(()) })
            }
        },
    };
    let stored = consumer(handler).store(MemoryStore::new()).dedup_key(by_id());
    let consumer = stored.build(broker.clone()).unwrap();
    let health = consumer.health();
    let running = broker.start(consumer);
    down(&health, "payments").await;
    assert_eq!(health.reasons(), ["payments"]);
    tokio::time::sleep(OUTAGE).await;
    assert!((10..100).contains(&begun.count("a")), "{} probes", begun.count("a"));
    broker.dead_letters(DEAD).expect_none();
    is_down.store(false, Ordering::Relaxed);
    broker.settled(SOURCE).await;
    health.ready().await;
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn intake_pauses_during_an_outage() {
    let broker = broker_with(&["a"]);
    let store = FaultyStore::new(MemoryStore::new());
    store.take_down();
    let handler = Record { begun: Ledger::default(), then: |_, _| async { Ok(()) } };
    let stored = consumer(handler).store(store.clone()).dedup_key(by_id()).max_in_flight(500);
    let consumer = stored.build(broker.clone()).unwrap();
    let health = consumer.health();
    let _running = broker.start(consumer);
    down(&health, "store").await;
    publish(&broker, &["the call that was pending takes one"]);
    broker.until("it to be taken", |broker| broker.deliveries(SOURCE) == 2).await;
    publish(&broker, &["b", "c", "d"]);
    tokio::time::sleep(OUTAGE).await;
    assert_eq!((broker.deliveries(SOURCE), broker.backlog(SOURCE)), (2, 3));
    store.bring_up();
    broker.settled(SOURCE).await;
}

#[tokio::test(start_paused = true)]
async fn a_few_poison_messages_do_not_open_the_breaker() {
    let ids: Vec<_> = (0..5).map(|n| format!("bad{n}")).collect();
    let broker = broker_with(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let handler = Record { begun: Ledger::default(), then: |_, _| async { Err(failure("x")) } };
    let breaker = BreakerPolicy::default().failure_ratio(0.9, 6);
    let _running = broker.start(consumer(handler).breaker(breaker).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(broker.dead_letters(DEAD).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_renewed_and_nothing_is_lost() {
    let (broker, ids) = published();
    let begun = Ledger::default();
    let handler = Record {
        begun: begun.clone(),
        then: |_, _| async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok(())
        },
    };
    let built =
        consumer(handler).store(MemoryStore::new()).dedup_key(by_id()).build(broker.clone());
    let consumer = built.unwrap();
    let health = consumer.health();
    let running = broker.start(consumer);
    for round in 1..4 {
        let enough = round * 30;
        broker.until("some work", |_| begun.entries().len() > enough).await;
        broker.faults().refuse_connections(3).disconnect();
        down(&health, "broker").await;
    }
    broker.settled(SOURCE).await;
    assert!(ids.iter().all(|id| begun.count(id) >= 1));
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_down_at_start_is_waited_for() {
    let broker = broker_with(&["a"]);
    broker.faults().refuse_connections(5);
    let begun = Ledger::default();
    let handler = Record { begun: begun.clone(), then: |_, _| async { Ok(()) } };
    let _running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
}

#[tokio::test(start_paused = true)]
async fn settlements_that_fail_are_made_again() {
    let broker = broker_with(&["a", "b", "c"]);
    broker.faults().fail_settles(4);
    let begun = Ledger::default();
    let handler = Record { begun: begun.clone(), then: |_, _| async { Ok(()) } };
    let _running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.entries().len(), 3, "none came back");
    publish(&broker, &["d"]);
    broker.settled(SOURCE).await;
}

/// Without a store there is no record to give the attempt back to.
#[tokio::test(start_paused = true)]
async fn without_a_store_an_outage_dead_letters_nothing_either() {
    let named = || HandlerError::unavailable("payments", "refused");
    for failing in [named as fn() -> HandlerError, || failure("connection refused")] {
        let (broker, _) = published();
        let handler = Record { begun: Ledger::default(), then: move |_, _| ready(Err(failing())) };
        let _running = broker.start(consumer(handler).build(broker.clone()).unwrap());
        tokio::time::sleep(12 * OUTAGE).await;
        broker.dead_letters(DEAD).expect_none();
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_poison_does_not_stop_a_consumer_for_ever() {
    for broker in [MockBroker::new(), MockBroker::new().without_delay()] {
        for n in 0..70 {
            broker.publish(SOURCE, order(format!("bad{n}")));
        }
        publish(&broker, &["good"]);
        let begun = Ledger::default();
        let handler = Record {
            begun: begun.clone(),
            then: |order: Order, _| {
                let bad = order.id.starts_with("bad");
                ready(if bad { Err(failure("a bug")) } else { Ok(()) })
            },
        };
        let stored = consumer(handler).store(MemoryStore::new()).dedup_key(by_id());
        let _running = broker.start(stored.build(broker.clone()).unwrap());
        broker.settled(SOURCE).await;
        assert_eq!((begun.count("good"), broker.dead_letters(DEAD).len()), (1, 70));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_down() {
    let broker = broker_with(&["a"]);
    let handler = Record { begun: Ledger::default(), then: |_, _| ready(Ok(())) };
    let hung = Picky { hangs: true, ..Picky::default() };
    let consumer = consumer(handler).store(hung).dedup_key(by_id()).build(broker.clone()).unwrap();
    let health = consumer.health();
    let running = broker.start(consumer);
    down(&health, "store").await;
    running.stop().await.unwrap();
    assert_eq!(broker.backlog(SOURCE), 1);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_has_ended_is_not_ready() {
    let broker = broker_with(&["a"]);
    for crash in [true, false] {
        let handler = Record { begun: Ledger::default(), then: |_, _| ready(Ok(())) };
        let consumer = consumer(handler).build(broker.clone()).unwrap();
        let health = consumer.health();
        let running = broker.start(consumer);
        health.ready().await;
        if crash {
            running.kill().await;
        } else {
            running.stop().await.unwrap();
        }
        assert_eq!(health.reasons(), ["stopped"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_by_its_own_fault_does_not_keep_the_breaker_open() {
    let broker = broker_with(&["odd"]);
    let (begun, is_down) = (Ledger::default(), Arc::new(AtomicBool::new(true)));
    let handler = Record {
        begun: begun.clone(),
        then: {
            let is_down = is_down.clone();
            move |order: Order, _| {
                let outcome = if is_down.load(Ordering::Relaxed) {
                    Err(HandlerError::unavailable("payments", "refused"))
                } else if order.id == "odd" {
                    Err(failure("its own fault"))
                } else {
                    Ok(())
                };
                ready(outcome)
            }
        },
    };
    let stored = consumer(handler).store(MemoryStore::new()).dedup_key(by_id());
    let consumer = stored.build(broker.clone()).unwrap();
    let health = consumer.health();
    let _running = broker.start(consumer);
    down(&health, "payments").await;
    publish(&broker, &["a", "b", "c"]);
    tokio::time::sleep(OUTAGE).await;
    is_down.store(false, Ordering::Relaxed);
    let minutes = tokio::time::timeout(OUTAGE, broker.settled(SOURCE));
    minutes.await.expect("the others probe too");
    broker.dead_letters(DEAD).expect_one().with_reason("exhausted");
}

#[tokio::test(start_paused = true)]
async fn a_lone_poison_message_does_not_keep_a_named_outage_open() {
    let broker = broker_with(&["poison"]);
    let begun = Ledger::default();
    let once = Arc::new(AtomicBool::new(false));
    let poison = Record {
        begun: begun.clone(),
        then: move |order: Order, _| {
            let first = !once.swap(true, Ordering::Relaxed);
            ready(match order.id.as_str() {
                "poison" if first => Err(HandlerError::unavailable("payments", "down")),
                "poison" => Err(failure("its own fault")),
                _ => Ok(()),
            })
        },
    };
    let stored = consumer(poison).store(MemoryStore::new()).dedup_key(by_id()).max_in_flight(16);
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    publish(&broker, &["a", "b", "c"]);
    let hour = tokio::time::timeout(6 * OUTAGE, broker.settled(SOURCE));
    hour.await.expect("the dependency is back, and the poison is its own fault");
    broker.dead_letters(DEAD).expect_one().with_reason("exhausted");
}

/// Where messages keep their places, all of them wait at the breaker, and none of them for minutes.
#[tokio::test(start_paused = true)]
async fn an_inferred_outage_is_probed_by_those_who_keep_their_places() {
    let broker = MockBroker::new().ordered().unlimited_hold();
    let ids = many();
    publish(&broker, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    let is_down = Arc::new(AtomicBool::new(true));
    let (begun, finished) = (Ledger::default(), Ledger::default());
    let handler = Record {
        begun: begun.clone(),
        then: {
            let (is_down, finished) = (Arc::clone(&is_down), finished.clone());
            move |order: Order, _| {
                let down = is_down.load(Ordering::Relaxed);
                ready(if down { Err(failure("refused")) } else { finished.done(order.id) })
            }
        },
    };
    let ordered = consumer(handler)
        .ordered_by(OrderedBy::Key)
        .concurrency(4)
        .breaker(BreakerPolicy::default().failure_ratio(0.9, 8))
        .store(MemoryStore::new())
        .dedup_key(by_id());
    let consumer = ordered.build(broker.clone()).unwrap();
    let health = consumer.health();
    let _running = broker.start(consumer);
    down(&health, "failure ratio").await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    let probes = begun.entries().len();
    tokio::time::sleep(Duration::from_secs(200)).await;
    let later = begun.entries().len();
    assert!(later > probes && later < 100, "{probes} attempts, and {later} later");
    is_down.store(false, Ordering::Relaxed);
    let back = Instant::now();
    broker.settled(SOURCE).await;
    assert!(back.elapsed() < Duration::from_secs(60), "{:?} until all was done", back.elapsed());
    broker.dead_letters(DEAD).expect_none();
    assert!(ids.iter().all(|id| finished.count(id) == 1));
}

/// A redelivery is not another message.
#[tokio::test(start_paused = true)]
async fn a_few_poison_messages_that_come_again_do_not_open_the_breaker() {
    let broker = broker_with(&["bad0", "bad1", "bad2", "bad3"]);
    let handler = Record { begun: Ledger::default(), then: |_, _| ready(Err(failure("a bug"))) };
    let minute = Retry::with_backoff(Backoff::fixed(Duration::from_secs(60))).max_attempts(6);
    let stored = consumer(handler).retry(minute).store(MemoryStore::new()).dedup_key(by_id());
    let began = Instant::now();
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(broker.dead_letters(DEAD).len(), 4);
    assert!(began.elapsed() < Duration::from_secs(600), "{:?}", began.elapsed());
}
