//! The user's own layers: where they stand, and what they may do.

use steadfast::{
    Cancelled, Cause, Delivery, Failure, FailureKind, Middleware, Next, Outcome, Process, Reason,
    from_fn, handler_fn, store::MemoryStore,
};
use steadfast_mock::MockBroker;

use crate::support::{DEAD, Ledger, Order, Record, SOURCE, broker_with, by_id, consumer, failure};

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
