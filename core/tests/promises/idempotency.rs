//! Idempotency through the whole consumer: P2 to P6.

use std::{sync::Arc, time::Duration};

use steadfast::{
    Context, DedupKey, Handler, HandlerError, Message,
    store::{Answer, Claim, Digest, Key, MemoryStore, MemoryTransaction, RecordId, Scope, Store},
};
use steadfast_mock::{Call, FaultyStore, MockBroker, Point, StorePoint};
use tokio::sync::Notify;

use crate::{
    picky::Picky,
    support::{
        DEAD, Ledger, Order, Record, SOURCE, broker_with, by_id, consumer, down, failure, order,
    },
};

fn done(begun: &Ledger) -> impl Handler<Message = Order> + use<> {
    Record { begun: begun.clone(), then: |_, _| async { Ok(()) } }
}

fn record(key: &str) -> RecordId {
    let scope = Scope::new("test.orders", "test", 0).unwrap();
    RecordId::new(scope, Key::new(key).unwrap())
}

#[tokio::test(start_paused = true)]
async fn duplicates_run_once_whatever_the_broker_does() {
    let broker = broker_with(&["a", "b", "a", "a"]);
    broker.faults().lose_acks(2).duplicate(2);
    let begun = Ledger::default();
    let stored = consumer(done(&begun)).store(MemoryStore::new()).dedup_key(by_id());
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!((begun.count("a"), begun.count("b")), (1, 1));
}

/// A claim is sent again while its first statement still commits, finds the record held, and it is its own.
#[tokio::test(start_paused = true)]
async fn who_holds_a_record_without_knowing_it_waits_for_no_lease_and_loses_no_attempt() {
    let broker = broker_with(&["a"]);
    let store = Picky { hides_a_grant: true.into(), ..Picky::default() };
    let attempts = Ledger::default();
    let then = {
        let attempts = attempts.clone();
        move |_, attempt: u32| std::future::ready(attempts.done(attempt))
    };
    let handler = Record { begun: Ledger::default(), then };
    let stored = consumer(handler).store(store).dedup_key(by_id());
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    let soon = tokio::time::timeout(Duration::from_secs(5), broker.settled(SOURCE));
    soon.await.expect("a lease takes longer");
    assert_eq!(attempts.entries(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_success_that_cannot_be_recorded_is_not_acked() {
    let broker = broker_with(&["a"]);
    let store = FaultyStore::new(MemoryStore::new());
    let begun = Ledger::default();
    let handler = Record {
        begun: begun.clone(),
        then: {
            let store = store.clone();
            move |_, attempt| {
                if attempt == 1 {
                    store.take_down();
                }
                async { Ok(()) }
            }
        },
    };
    let stored = consumer(handler).store(store.clone()).dedup_key(by_id());
    let consumer = stored.build(broker.clone()).unwrap();
    let health = consumer.health();
    let _running = broker.start(consumer);
    down(&health, "store").await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(broker.unsettled(SOURCE), 1);
    store.bring_up();
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("a"), 1, "the completion was repeated, not the handler");
}

#[tokio::test(start_paused = true)]
async fn a_success_that_was_never_recorded_stays_in_the_broker() {
    let broker = broker_with(&["a"]);
    let store = FaultyStore::new(MemoryStore::new());
    let begun = Ledger::default();
    let handler = Record {
        begun: begun.clone(),
        then: {
            let store = store.clone();
            move |_, _| {
                store.take_down();
                std::future::ready(Ok(()))
            }
        },
    };
    let stored = consumer(handler).store(store.clone()).dedup_key(by_id());
    let consumer = stored.build(broker.clone()).unwrap();
    let health = consumer.health();
    let running = broker.start(consumer);
    down(&health, "store").await;
    running.stop().await.unwrap();
    assert_eq!((begun.count("a"), broker.backlog(SOURCE)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_does_not_make_the_claim_busy_against_itself() {
    let broker = broker_with(&["a"]);
    let store = FaultyStore::new(MemoryStore::new());
    store.lose_replies(1);
    let begun = Ledger::default();
    let stored = consumer(done(&begun)).store(store).dedup_key(by_id());
    let started = tokio::time::Instant::now();
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("a"), 1);
    assert!(started.elapsed() < Duration::from_secs(10), "no lease was waited for");
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_in_flight_elsewhere_is_not_acked_and_costs_no_attempt() {
    let broker = broker_with(&["a"]);
    let store = MemoryStore::new();
    let digest = Digest::of(order("a").payload.as_ref());
    let lease = Duration::from_secs(100);
    let other = Claim::new(record("a"), digest, lease, Duration::from_secs(1000));
    let Answer::Granted(other) = store.claim(&other).await.unwrap() else { panic!("not granted") };
    let begun = Ledger::default();
    let stored = consumer(done(&begun)).store(store.clone()).dedup_key(by_id());
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!((begun.entries().len(), broker.unsettled(SOURCE)), (0, 1));
    assert_eq!(store.look(&record("a")).await.unwrap().unwrap().attempts, 1);
    let _ = store.release(&record("a"), &other.token).await.unwrap();
    broker.settled(SOURCE).await;
    assert_eq!(begun.entries(), ["a"]);
    assert_eq!(store.look(&record("a")).await.unwrap().unwrap().attempts, 1);
}

/// A handler whose first attempt goes on until it is told to.
struct Slow {
    begun: Ledger,
    effects: Ledger,
    go_on: Arc<Notify>,
}

impl Handler for Slow {
    type Message = Order;

    async fn handle(&self, order: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        self.begun.add(&order.id);
        let (effects, attempt) = (self.effects.clone(), cx.attempt());
        cx.lent::<MemoryTransaction>()
            .ok_or_else(|| failure("no transaction"))?
            .effect(move || effects.add(format!("{} by attempt {attempt}", order.id)));
        if attempt == 1 {
            self.go_on.notified().await;
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_owner_changes_nothing_and_its_effects_roll_back() {
    let broker = broker_with(&["a"]);
    let store = FaultyStore::new(MemoryStore::new());
    let (begun, effects, go_on) = (Ledger::default(), Ledger::default(), Arc::new(Notify::new()));
    let start = || {
        let slow = Slow { begun: begun.clone(), effects: effects.clone(), go_on: go_on.clone() };
        let stored = consumer(slow)
            .store(store.clone())
            .dedup_key(by_id())
            .transactional()
            .timeout(Duration::from_secs(1000));
        broker.start(stored.build(broker.clone()).unwrap())
    };
    let _first = start();
    broker.until("the first attempt", |_| begun.count("a") == 1).await;
    // The first owner cannot renew its lease, and another one takes over behind its back.
    store.take_down();
    // Not at a moment of renewal: it is the completion that must find out.
    tokio::time::sleep(Duration::from_secs(61)).await;
    let digest = Digest::of(order("a").payload.as_ref());
    let lease = Duration::from_secs(10_000);
    let claim = Claim::new(record("a"), digest, lease, lease);
    let answer = store.inner().claim(&claim).await.unwrap();
    let Answer::Granted(thief) = answer else { panic!("not granted: {answer:?}") };
    assert_eq!(thief.attempts, 2);
    store.bring_up();
    go_on.notify_one();
    broker.until("the stale owner to give up", |broker| broker.deliveries(SOURCE) > 1).await;
    assert_eq!(effects.entries().len(), 0, "a stale owner's effects were kept");
    let _ = store.inner().release(&record("a"), &thief.token).await.unwrap();
    broker.settled(SOURCE).await;
    assert_eq!(effects.entries().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn effects_and_record_commit_together_wherever_the_process_dies() {
    use Call::{Claim, Complete};
    let points = [
        StorePoint::Before(Claim),
        StorePoint::After(Claim),
        StorePoint::Before(Complete),
        StorePoint::After(Complete),
    ];
    for point in points {
        let broker = broker_with(&["a"]);
        let store = FaultyStore::new(MemoryStore::new());
        let (effects, begun) = (Ledger::default(), Ledger::default());
        let start = || {
            let go_on = Arc::new(Notify::new());
            go_on.notify_one();
            let slow = Slow { begun: begun.clone(), effects: effects.clone(), go_on };
            let stored = consumer(slow).store(store.clone()).dedup_key(by_id()).transactional();
            broker.start(stored.build(broker.clone()).unwrap())
        };
        store.crash_at(point);
        let first = start();
        store.crashed().await;
        drop(first);
        let _second = start();
        broker.settled(SOURCE).await;
        assert_eq!(effects.entries().len(), 1, "{point:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_kills_the_process_is_dead_lettered_after_max_attempts_kills() {
    for broker in [MockBroker::new(), MockBroker::new().without_delivery_counts()] {
        broker.publish(SOURCE, order("killer"));
        let store = MemoryStore::new();
        let begun = Ledger::default();
        let mut kills = 0;
        loop {
            let handler = Record {
                begun: begun.clone(),
                then: |_, _| std::future::pending::<Result<(), HandlerError>>(),
            };
            let stored = consumer(handler).store(store.clone()).dedup_key(by_id());
            let running = broker.start(stored.build(broker.clone()).unwrap());
            let next = kills + 1;
            broker
                .until("a start or an end", |broker| {
                    begun.count("killer") == next || !broker.dead_letters(DEAD).is_empty()
                })
                .await;
            if begun.count("killer") == kills {
                broker.settled(SOURCE).await;
                break;
            }
            kills = next;
            assert!(kills <= 3, "it runs again and again");
            drop(running);
        }
        assert_eq!(kills, 3);
        broker
            .dead_letters(DEAD)
            .expect_one()
            .with_reason("exhausted")
            .with_header("steadfast-failure-kind", "abandoned");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_key_with_another_payload_is_a_conflict_never_a_duplicate() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let stored = consumer(done(&begun)).store(MemoryStore::new()).dedup_key(by_id());
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    broker.publish(SOURCE, Message::new("{\"id\": \"a\", \"amount\": 7}"));
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("a"), 1);
    broker.dead_letters(DEAD).expect_one().with_reason("conflict");
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_dedup_key_is_dead_lettered_with_words() {
    let broker = broker_with(&["", "a"]);
    let begun = Ledger::default();
    let stored = consumer(done(&begun)).store(MemoryStore::new()).dedup_key(by_id());
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.entries(), ["a"]);
    broker.dead_letters(DEAD).expect_one().with_reason("no_dedup_key");
}

#[tokio::test(start_paused = true)]
async fn a_panicking_key_function_is_a_failure_like_any_other() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let key = DedupKey::of(|_: &Order| -> String { panic!("in the key function") });
    let stored = consumer(done(&begun)).store(MemoryStore::new()).dedup_key(key);
    let running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    broker.dead_letters(DEAD).expect_one().with_reason("exhausted").after_attempts(3);
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_consumers_of_one_topic_do_not_hide_each_others_messages() {
    let broker = broker_with(&["a"]);
    let store = MemoryStore::new();
    let (first, second) = (Ledger::default(), Ledger::default());
    let start = |begun: &Ledger, group| {
        let stored = consumer(done(begun)).group(group).store(store.clone()).dedup_key(by_id());
        broker.start(stored.build(broker.clone()).unwrap())
    };
    let _one = start(&first, "one");
    let _two = start(&second, "two");
    broker.until("both", |_| first.count("a") == 1 && second.count("a") == 1).await;
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed_for_as_long_as_the_handler_runs() {
    let broker = broker_with(&["a", "a"]);
    let begun = Ledger::default();
    let handler = Record {
        begun: begun.clone(),
        then: |_, _| async {
            tokio::time::sleep(Duration::from_secs(900)).await;
            Ok(())
        },
    };
    let stored = consumer(handler)
        .store(MemoryStore::default())
        .dedup_key(by_id())
        .timeout(Duration::from_secs(1000));
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("a"), 1, "the duplicate took over from a healthy attempt");
}

#[tokio::test(start_paused = true)]
async fn a_claim_held_beyond_the_cap_is_cancelled_and_comes_back() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let handler = Record {
        begun: begun.clone(),
        then: |_, attempt| async move {
            if attempt == 1 {
                // Longer than the cap, shorter than the timeout after the first: the store's clock
                // alone ends it.
                std::future::pending::<()>().await;
            }
            Ok(())
        },
    };
    let stored = consumer(handler)
        .store(MemoryStore::new())
        .dedup_key(by_id())
        .timeout(Duration::from_secs(50))
        .lease_cap(Duration::from_secs(53));
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("a"), 2);
    broker.dead_letters(DEAD).expect_none();
}

#[tokio::test(start_paused = true)]
async fn an_ack_lost_in_a_crash_makes_a_duplicate_not_a_second_effect() {
    let broker = broker_with(&["a"]);
    let store = MemoryStore::new();
    let begun = Ledger::default();
    let start = || {
        let stored = consumer(done(&begun)).store(store.clone()).dedup_key(by_id());
        broker.start(stored.build(broker.clone()).unwrap())
    };
    broker.crash_at(Point::BeforeSettle);
    let first = start();
    broker.crashed().await;
    drop(first);
    let _second = start();
    broker.settled(SOURCE).await;
    assert_eq!((begun.count("a"), broker.deliveries(SOURCE)), (1, 2));
}

/// An effect that fails at the first attempt.
struct Bomb(Ledger);

impl Handler for Bomb {
    type Message = Order;

    async fn handle(&self, _: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let (effects, attempt) = (self.0.clone(), cx.attempt());
        cx.lent::<MemoryTransaction>().ok_or_else(|| failure("no transaction"))?.effect(
            move || {
                assert!(attempt > 1, "the first one fails");
                effects.add(attempt);
            },
        );
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_panics_at_its_commit_is_not_done() {
    let (broker, effects) = (broker_with(&["a"]), Ledger::default());
    let stored = consumer(Bomb(effects.clone()))
        .store(MemoryStore::new())
        .dedup_key(by_id())
        .transactional();
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(effects.entries(), ["2"]);
}
