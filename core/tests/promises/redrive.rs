//! Redrive: filtered, dry run first, idempotent, with the record re-armed.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use steadfast::{
    HandlerError, Message, Reason, Redrive, RedriveError, Story,
    store::{MemoryStore, State, Store},
};
use steadfast_mock::{MockBroker, Point, Running};
use tokio::time::Instant;

use crate::{
    picky::Picky,
    slow::Slow,
    support::{DEAD, Ledger, Order, Record, SOURCE, broker_with, by_id, consumer},
};

struct Scene {
    broker: MockBroker,
    store: MemoryStore,
    fixed: Arc<AtomicBool>,
    done: Ledger,
    _running: Running,
}

/// Three orders and an undecodable message in the dead letters, and a handler that is mended.
async fn scene() -> Scene {
    let broker = broker_with(&["a", "b", "c"]);
    broker.publish(SOURCE, Message::new("no JSON"));
    let (store, fixed, done) =
        (MemoryStore::new(), Arc::new(AtomicBool::new(false)), Ledger::default());
    let handler = Record {
        begun: Ledger::default(),
        then: {
            let (fixed, done) = (fixed.clone(), done.clone());
            move |order: Order, _| {
                let outcome = if fixed.load(Ordering::Relaxed) {
                    done.done(order.id)
                } else {
                    Err(HandlerError::permanent("a bug"))
                };
                std::future::ready(outcome)
            }
        },
    };
    let stored = consumer(handler).store(store.clone()).dedup_key(by_id());
    let running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(broker.dead_letters(DEAD).len(), 4);
    fixed.store(true, Ordering::Relaxed);
    Scene { broker, store, fixed, done, _running: running }
}

fn redrive(scene: &Scene) -> Redrive {
    Redrive::of(Arc::new(scene.broker.clone()), DEAD)
        .store(Arc::new(scene.store.clone()))
        .only(|story| story.reason == Reason::Permanent)
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_counts_and_changes_nothing() {
    let scene = scene().await;
    let report = redrive(&scene).dry_run(pending()).await.unwrap();
    assert_eq!(report.to_string(), "redriven=3 filtered=1 too_often=0 unfit=0 died_again=0");
    assert_eq!(scene.done.entries().len(), 0);
    let again = redrive(&scene).dry_run(pending()).await.unwrap();
    assert_eq!(again, report);
}

#[tokio::test(start_paused = true)]
async fn redriven_messages_run_and_the_others_stay() {
    let scene = scene().await;
    let report = redrive(&scene).run(pending()).await.unwrap();
    assert_eq!(report.redriven, 3);
    scene.broker.settled(SOURCE).await;
    for id in ["a", "b", "c"] {
        assert_eq!(scene.done.count(id), 1);
    }
    let rest = redrive(&scene).run(pending()).await.unwrap();
    assert_eq!((rest.redriven, rest.filtered), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_redrive_that_dies_anywhere_can_be_run_again_and_runs_nothing_twice() {
    for point in
        [Point::BeforePublish, Point::AfterPublish, Point::BeforeSettle, Point::AfterSettle]
    {
        let scene = scene().await;
        scene.broker.crash_at_hit(point, 1);
        let run = redrive(&scene);
        let dying = tokio::spawn(async move { run.run(pending()).await });
        scene.broker.crashed().await;
        dying.abort();
        let _ = dying.await;
        redrive(&scene).run(pending()).await.unwrap();
        scene.broker.settled(SOURCE).await;
        for id in ["a", "b", "c"] {
            assert_eq!(scene.done.count(id), 1, "{id} at {point:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn letters_that_come_late_are_waited_for_and_nothing_else_is() {
    const SLOW: Duration = Duration::from_secs(45);
    let scene = scene().await;
    let mock = scene.broker.clone();
    let slow = Slow { mock, settles_after: Duration::ZERO, lets_in_after: SLOW };
    let redrive = Redrive::of(Arc::new(slow), DEAD);
    let redrive = redrive.store(Arc::new(scene.store.clone()));
    let began = Instant::now();
    let report = redrive.run(pending()).await.unwrap();
    assert_eq!(report.redriven, 4, "{report}");
    assert!(began.elapsed() < SLOW + Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn records_without_their_store_are_refused() {
    let scene = scene().await;
    let without = Redrive::of(Arc::new(scene.broker.clone()), DEAD);
    let error = without.run(pending()).await.unwrap_err();
    assert!(matches!(error, RedriveError::NeedsStore { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_fails_again_is_redriven_so_often_and_no_more() {
    let scene = scene().await;
    scene.fixed.store(false, Ordering::Relaxed);
    for _ in 0..3 {
        let report = redrive(&scene).run(pending()).await.unwrap();
        assert_eq!((report.redriven, report.died_again), (3, 3));
        scene.broker.settled(SOURCE).await;
    }
    let last = redrive(&scene).run(pending()).await.unwrap();
    assert_eq!((last.redriven, last.too_often), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_a_foreign_tool_moved_back_runs_once() {
    let scene = scene().await;
    let letter =
        scene.broker.messages(DEAD).into_iter().find(|m| m.key.as_deref() == Some(b"a")).unwrap();
    scene.broker.publish(SOURCE, letter.clone());
    scene.broker.publish(SOURCE, letter);
    scene.broker.settled(SOURCE).await;
    assert_eq!(scene.done.entries(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept() {
    let scene = scene().await;
    let started = Instant::now();
    let slow = redrive(&scene).per_second(1);
    slow.run(async { tokio::time::sleep(Duration::from_millis(1500)).await }).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2));
    scene.broker.settled(SOURCE).await;
    assert_eq!(scene.done.entries().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_redriven_before_its_record_is_dead_is_not_lost() {
    let broker = broker_with(&["a"]);
    let store = Arc::new(Picky { buries_after: Duration::from_secs(2), ..Picky::default() });
    let (fixed, done) = (Arc::new(AtomicBool::new(false)), Ledger::default());
    let handler = Record {
        begun: Ledger::default(),
        then: {
            let (fixed, done) = (fixed.clone(), done.clone());
            move |order: Order, _| {
                let fixed = fixed.load(Ordering::Relaxed);
                let refused = HandlerError::permanent("a bug");
                std::future::ready(if fixed { done.done(order.id) } else { Err(refused) })
            }
        },
    };
    let stored = consumer(handler).store(store.clone()).dedup_key(by_id());
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.until("the letter", |broker| !broker.messages(DEAD).is_empty()).await;
    fixed.store(true, Ordering::Relaxed);
    let redrive = Redrive::of(Arc::new(broker.clone()), DEAD).store(store);
    assert_eq!(redrive.run(pending()).await.unwrap().redriven, 1);
    broker.settled(SOURCE).await;
    assert_eq!(done.entries(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn the_record_is_armed_again_before_the_message_is_published() {
    let scene = scene().await;
    let letter = scene.broker.messages(DEAD).remove(0);
    let record = Story::read(&letter).unwrap().record.unwrap();
    assert_eq!(scene.store.look(&record).await.unwrap().unwrap().state, State::Dead);
    scene.broker.crash_at(Point::BeforePublish);
    let run = redrive(&scene);
    let dying = tokio::spawn(async move { run.run(pending()).await });
    scene.broker.crashed().await;
    let armed = scene.store.look(&record).await.unwrap().unwrap();
    assert_eq!((armed.state, armed.attempts, armed.redrives), (State::Failed, 0, 1));
    dying.abort();
}

/// Each broker has its own: the letters lie on one, and their consumer reads from the other.
#[tokio::test(start_paused = true)]
async fn letters_on_another_broker_go_back_to_where_they_came_from() {
    let (broker, letters) = (broker_with(&["a"]), MockBroker::new());
    letters.create_topic(SOURCE);
    let fixed = Arc::new(AtomicBool::new(false));
    let handler = Record {
        begun: Ledger::default(),
        then: {
            let fixed = Arc::clone(&fixed);
            move |_, _| {
                let fixed = fixed.load(Ordering::Relaxed);
                std::future::ready(if fixed {
                    Ok(())
                } else {
                    Err(HandlerError::permanent("a bug"))
                })
            }
        },
    };
    let elsewhere = consumer(handler).dead_letter_on(letters.clone());
    let _running = broker.start(elsewhere.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(letters.dead_letters(DEAD).len(), 1);
    fixed.store(true, Ordering::Relaxed);
    let redrive = Redrive::of(Arc::new(letters.clone()), DEAD).source_on(Arc::new(broker.clone()));
    assert_eq!(redrive.run(pending()).await.unwrap().redriven, 1);
    broker.until("it to come again", |broker| broker.deliveries(SOURCE) == 2).await;
    broker.settled(SOURCE).await;
    assert_eq!((letters.backlog(SOURCE), letters.backlog(DEAD)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_can_hold_no_more_says_so() {
    let scene = scene().await;
    let all = redrive(&scene).dry_run(pending()).await.unwrap();
    assert!(!all.full);
    let some = redrive(&scene).max_bytes(1000).dry_run(pending()).await.unwrap();
    assert!(some.full && some.redriven < 3, "{some}");
    assert!(some.to_string().contains("max_bytes"), "{some}");
}

/// Letters that come late, or a broker that was slow, are no reason for a burst.
#[tokio::test(start_paused = true)]
async fn what_was_missed_of_the_rate_is_not_made_up_for() {
    const SLOW: Duration = Duration::from_secs(45);
    let scene = scene().await;
    let mock = scene.broker.clone();
    let slow = Slow { mock, settles_after: Duration::ZERO, lets_in_after: SLOW };
    let redrive = Redrive::of(Arc::new(slow), DEAD).store(Arc::new(scene.store.clone()));
    let began = Instant::now();
    let stop = async { tokio::time::sleep(SLOW + Duration::from_millis(2500)).await };
    let report = redrive.per_second(1).run(stop).await.unwrap();
    assert!((1..4).contains(&report.redriven), "{report} in {:?}", began.elapsed());
}
