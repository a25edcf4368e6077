//! The user's own layers: where they stand, and what they may do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use steadfast::{
    Backoff, BreakerPolicy, Cancelled, Cause, Delivery, Failure, FailureKind, Message, Middleware,
    Next, Outcome, Process, Reason, from_fn, handler_fn, store::MemoryStore,
};
use steadfast_mock::MockBroker;
use tokio::{sync::Mutex, time::Instant};

use crate::support::{
    DEAD, Ledger, Order, Record, SOURCE, broker_with, by_id, consumer, down, failure,
};

struct Count(Ledger, &'static str);

impl Middleware for Count {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        self.0.add(format!("{} in", self.1));
        let outcome = next.run(delivery).await;
        self.0.add(format!("{} out {}", self.1, outcome.name()));
        outcome
    }
}

#[tokio::test(start_paused = true)]
async fn outer_sees_a_delivery_once_and_inner_every_attempt_in_the_order_given() {
    let broker = broker_with(&["a"]);
    let seen = Ledger::default();
    let handler = Record {
        begun: Ledger::default(),
        then: |_, attempt| async move { if attempt == 1 { Err(failure("x")) } else { Ok(()) } },
    };
    let layered = consumer(handler)
        .outer(Count(seen.clone(), "o1"))
        .outer(Count(seen.clone(), "o2"))
        .inner(Count(seen.clone(), "i1"))
        .inner(Count(seen.clone(), "i2"));
    let _running = broker.start(layered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(
        seen.entries(),
        [
            "o1 in",
            "o2 in",
            "i1 in",
            "i2 in",
            "i2 out failed",
            "i1 out failed",
            "i1 in",
            "i2 in",
            "i2 out done",
            "i1 out done",
            "o2 out done",
            "o1 out done",
        ]
    );
}

async fn announce(delivery: &mut Delivery, next: Next<'_>) -> Outcome {
    delivery.lend(41_u8);
    next.run(delivery).await
}

struct TakesLoan(Ledger);

impl steadfast::Handler for TakesLoan {
    type Message = Order;

    async fn handle(
        &self,
        _: Order,
        cx: &mut steadfast::Context<'_>,
    ) -> Result<(), steadfast::HandlerError> {
        *cx.lent::<u8>().ok_or_else(|| failure("nothing lent"))? += 1;
        self.0.add(cx.lent::<u8>().copied().unwrap_or_default());
        assert!(cx.lent::<u16>().is_none());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_is_a_layer_and_can_lend_to_the_handler() {
    let broker = broker_with(&["a"]);
    let seen = Ledger::default();
    let layered = consumer(TakesLoan(seen.clone())).inner(from_fn(announce));
    let _running = broker.start(layered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(seen.entries(), ["42"]);
}

#[tokio::test(start_paused = true)]
async fn a_layer_may_be_left_out_or_shared() {
    let broker = broker_with(&["a"]);
    let seen = Ledger::default();
    let shared = Arc::new(Count(seen.clone(), "shared"));
    let layered = consumer(fine())
        .outer(Arc::clone(&shared))
        .outer(None::<Count>)
        .inner(Some(Count(seen.clone(), "there")))
        .inner(shared);
    let _running = broker.start(layered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(
        seen.entries(),
        [
            "shared in",
            "there in",
            "shared in",
            "shared out done",
            "there out done",
            "shared out done",
        ]
    );
}

struct Panics {
    before: bool,
}

impl Middleware for Panics {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        assert!(!self.before, "before");
        let outcome = next.run(delivery).await;
        assert!(self.before, "after");
        outcome
    }
}

fn fine() -> impl steadfast::Handler<Message = Order> {
    handler_fn(|_: Order| async { Ok(()) })
}

#[tokio::test(start_paused = true)]
async fn a_panicking_layer_is_a_failure_of_the_message_and_the_process_lives() {
    for before in [true, false] {
        let broker = broker_with(&["a"]);
        let inner =
            consumer(fine()).store(MemoryStore::new()).dedup_key(by_id()).inner(Panics { before });
        let running = broker.start(inner.build(broker.clone()).unwrap());
        broker.settled(SOURCE).await;
        broker.dead_letters(DEAD).expect_one().with_reason("exhausted").after_attempts(3);
        running.stop().await.unwrap();

        let broker = broker_with(&["a"]);
        let outer = consumer(fine()).outer(Panics { before });
        let running = broker.start(outer.build(broker.clone()).unwrap());
        broker.settled(SOURCE).await;
        let dead = broker.dead_letters(DEAD).len();
        assert_eq!(dead, usize::from(before), "what had ended inside stands");
        running.stop().await.unwrap();
    }
}

async fn give_up(_: &mut Delivery, _: Next<'_>) -> Outcome {
    let failure = Box::new(Failure::new(FailureKind::Permanent, "not on a Sunday"));
    Outcome::Reject { reason: Reason::Permanent, failure }
}

#[tokio::test(start_paused = true)]
async fn what_an_outer_layer_rejects_is_dead_lettered_before_it_is_acked() {
    let broker = broker_with(&["a"]);
    let _running =
        broker.start(consumer(fine()).outer(from_fn(give_up)).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    broker.dead_letters(DEAD).expect_one().with_reason("permanent");
}

async fn later(delivery: &mut Delivery, next: Next<'_>) -> Outcome {
    if delivery.broker_deliveries == Some(1) {
        return Outcome::release(Cause::Cancelled(Cancelled::Revoked));
    }
    next.run(delivery).await
}

#[tokio::test(start_paused = true)]
async fn a_layer_can_hand_a_message_back() {
    let broker = MockBroker::new();
    crate::support::publish(&broker, &["a"]);
    let seen = Ledger::default();
    let layered = consumer(fine()).outer(from_fn(later)).inner(Count(seen.clone(), "i"));
    let _running = broker.start(layered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(broker.deliveries(SOURCE), 2);
    assert_eq!(seen.entries().len(), 2);
}

struct GivesUpAfter(Duration);

impl Middleware for GivesUpAfter {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let ran = tokio::time::timeout(self.0, next.run(delivery)).await;
        ran.unwrap_or_else(|_| Outcome::failed(Failure::new(FailureKind::TimedOut, "outside")))
    }
}

#[tokio::test(start_paused = true)]
async fn an_outer_layer_that_drops_an_attempt_leaves_no_claim_behind() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let handler = Record {
        begun: begun.clone(),
        then: |_, attempt| async move {
            if attempt == 1 {
                std::future::pending::<()>().await;
            }
            Ok(())
        },
    };
    let outer = GivesUpAfter(Duration::from_secs(5));
    let layered = consumer(handler).store(MemoryStore::new()).dedup_key(by_id()).outer(outer);
    let started = Instant::now();
    let _running = broker.start(layered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(begun.count("a"), 2);
    broker.dead_letters(DEAD).expect_none();
}

async fn fails_afterwards(delivery: &mut Delivery, next: Next<'_>) -> Outcome {
    next.run(delivery).await;
    Outcome::failed(Failure::new(FailureKind::Transient, "the audit log is full"))
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_not_dead_lettered_by_an_outer_layer() {
    let broker = broker_with(&["a"]);
    let layered = consumer(fine()).outer(from_fn(fails_afterwards));
    let _running = broker.start(layered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    broker.dead_letters(DEAD).expect_none();
}

async fn rewrites(delivery: &mut Delivery, next: Next<'_>) -> Outcome {
    let mut payload = delivery.message.payload.take().unwrap_or_default().to_vec();
    payload.push(b' ');
    delivery.message.payload = Some(payload.into());
    next.run(delivery).await
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_rewrites_the_payload_makes_neither_a_conflict_nor_another_dead_letter() {
    let broker = broker_with(&["a"]);
    let handler = Record { begun: Ledger::default(), then: |_, _| async { Err(failure("x")) } };
    let layered = consumer(handler)
        .store(MemoryStore::new())
        .dedup_key(by_id())
        .outer(from_fn(rewrites))
        .inner(from_fn(rewrites));
    let _running = broker.start(layered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    let letters = broker.dead_letters(DEAD);
    letters.expect_one().with_reason("exhausted").with_payload("{\"id\":\"a\"}");
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in a destructor");
        }
    }
}

async fn lends_a_bomb(delivery: &mut Delivery, next: Next<'_>) -> Outcome {
    delivery.lend(Bomb);
    next.run(delivery).await
}

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_is_survived() {
    let broker = broker_with(&["a"]);
    let layered = consumer(fine()).outer(from_fn(lends_a_bomb));
    let running = broker.start(layered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    running.stop().await.unwrap();
}

async fn throws_a_bomb(delivery: &mut Delivery, next: Next<'_>) -> Outcome {
    let _ = next.run(delivery).await;
    std::panic::panic_any(Bomb)
}

#[tokio::test(start_paused = true)]
async fn a_panic_whose_payload_panics_in_its_destructor_is_survived() {
    for inner in [true, false] {
        let broker = broker_with(&["a"]);
        let built = if inner {
            consumer(fine()).inner(from_fn(throws_a_bomb)).build(broker.clone())
        } else {
            consumer(fine()).outer(from_fn(throws_a_bomb)).build(broker.clone())
        };
        let running = broker.start(built.unwrap());
        broker.settled(SOURCE).await;
        assert_eq!(broker.dead_letters(DEAD).len(), usize::from(inner));
        running.stop().await.unwrap();
    }
}

async fn twice(delivery: &mut Delivery, next: Next<'_>) -> Outcome {
    let first = next.run(delivery).await;
    assert_eq!(first.name(), "done");
    next.run(delivery).await
}

#[tokio::test(start_paused = true)]
async fn the_second_run_of_an_outer_layer_is_another_delivery_and_of_an_inner_one_the_same_attempt()
{
    for inner in [true, false] {
        let broker = broker_with(&["a"]);
        let (handled, seen) = (Ledger::default(), Ledger::default());
        let handler = Record { begun: handled.clone(), then: |_, _| async { Ok(()) } };
        let layered = consumer(handler)
            .store(MemoryStore::new())
            .dedup_key(by_id())
            .outer(Count(seen.clone(), "o"))
            .outer((!inner).then(|| from_fn(twice)))
            .inner(inner.then(|| from_fn(twice)));
        let _running = broker.start(layered.build(broker.clone()).unwrap());
        broker.settled(SOURCE).await;
        let (runs, ended) = if inner { (2, "o out done") } else { (1, "o out duplicate") };
        assert_eq!((handled.count("a"), seen.entries()[1].as_str()), (runs, ended));
    }
}

/// Reaches what is down, or is not, and counts how often it tried.
struct Reaches {
    is_down: Arc<AtomicBool>,
    tries: Ledger,
}

impl Middleware for Reaches {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        self.tries.add("a try");
        if self.is_down.load(Ordering::Relaxed) {
            return Outcome::failed(Failure::new(
                FailureKind::Unavailable("keys".into()),
                "refused",
            ));
        }
        next.run(delivery).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_an_outer_layer_meets_uses_up_no_attempt_and_is_probed() {
    for with_store in [false, true] {
        let ids: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
        let broker = broker_with(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        let (is_down, tries) = (Arc::new(AtomicBool::new(true)), Ledger::default());
        let begun = Ledger::default();
        let then = |_, attempt| async move {
            assert_eq!(attempt, 1);
            Ok(())
        };
        let handler = Record { begun: begun.clone(), then };
        let layer = Reaches { is_down: Arc::clone(&is_down), tries: tries.clone() };
        let mut built = consumer(handler).outer(layer);
        if with_store {
            built = built.store(MemoryStore::new()).dedup_key(by_id());
        }
        let built = built.build(broker.clone()).unwrap();
        let health = built.health();
        let _running = broker.start(built);
        down(&health, "keys").await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        let tried = tries.entries().len();
        assert!((64..150).contains(&tried), "{tried} tries in ten minutes of outage");
        is_down.store(false, Ordering::Relaxed);
        broker.settled(SOURCE).await;
        assert!(ids.iter().all(|id| begun.count(id) == 1));
        broker.dead_letters(DEAD).expect_none();
        health.ready().await;
    }
}

async fn says_dead(_: &mut Delivery, _: Next<'_>) -> Outcome {
    Outcome::DeadLettered(Reason::Permanent)
}

#[tokio::test(start_paused = true)]
async fn what_a_layer_calls_dead_lettered_is_dead_lettered() {
    for inner in [true, false] {
        let broker = broker_with(&["a"]);
        let layered = consumer(fine())
            .store(MemoryStore::new())
            .dedup_key(by_id())
            .inner(inner.then(|| from_fn(says_dead)))
            .outer((!inner).then(|| from_fn(says_dead)));
        let _running = broker.start(layered.build(broker.clone()).unwrap());
        broker.settled(SOURCE).await;
        broker.dead_letters(DEAD).expect_one().with_reason("permanent");
    }
}

struct FailsOnce(AtomicBool);

impl Middleware for FailsOnce {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        match self.0.swap(false, Ordering::Relaxed) {
            true => Outcome::failed(Failure::new(FailureKind::Transient, "once")),
            false => next.run(delivery).await,
        }
    }
}

async fn unwraps(delivery: &mut Delivery, next: Next<'_>) -> Outcome {
    let payload = delivery.message.payload.clone().unwrap_or_default();
    match payload.strip_prefix(b"wrapped") {
        Some(inside) => delivery.message.payload = Some(payload.slice_ref(inside)),
        None => return Outcome::failed(Failure::new(FailureKind::Permanent, "not wrapped")),
    }
    next.run(delivery).await
}

#[tokio::test(start_paused = true)]
async fn outer_layers_that_run_again_begin_with_what_was_received() {
    let broker = MockBroker::new();
    broker.publish(SOURCE, Message::new("wrapped{\"id\":\"a\"}"));
    let layered = consumer(fine()).outer(from_fn(unwraps)).outer(FailsOnce(AtomicBool::new(true)));
    let _running = broker.start(layered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    broker.dead_letters(DEAD).expect_none();
}

/// Lets one message at a time further in.
struct OneAtATime(Mutex<()>);

impl Middleware for OneAtATime {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let _turn = self.0.lock().await;
        next.run(delivery).await
    }
}

/// Needs what is down for all messages but one, for which it takes its time.
struct KnowsOne(Reaches);

impl Middleware for KnowsOne {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        if delivery.message.key.as_deref() != Some(b"known") {
            return self.0.process(delivery, next).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        next.run(delivery).await
    }
}

/// The one is the probe, and waits for a turn; the other has the turn, and waits for the probe.
#[tokio::test(start_paused = true)]
async fn a_probe_in_an_outer_layer_does_not_wait_for_ever_for_who_waits_for_it() {
    const MINUTE: Duration = Duration::from_secs(60);
    let broker = broker_with(&["a", "known"]);
    let is_down = Arc::new(AtomicBool::new(true));
    let reaches = Reaches { is_down: Arc::clone(&is_down), tries: Ledger::default() };
    let probes = Backoff::fixed(MINUTE).floor(MINUTE);
    let layered = consumer(fine())
        .breaker(BreakerPolicy::default().probes(probes))
        .outer(KnowsOne(reaches))
        .outer(OneAtATime(Mutex::default()));
    let built = layered.build(broker.clone()).unwrap();
    let health = built.health();
    let _running = broker.start(built);
    down(&health, "keys").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    is_down.store(false, Ordering::Relaxed);
    tokio::time::timeout(5 * MINUTE, broker.settled(SOURCE)).await.expect("in time");
    health.ready().await;
}
