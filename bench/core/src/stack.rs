//! This stack, as a user would set it up.

use std::hint::black_box;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use steadfast::{
    Consumer, Context, Declared, Delivery, Handler, HandlerError, Json, Middleware, Outcome,
    Process, Shutdown, store::MemoryStore,
};
use tokio::runtime::Runtime;

use crate::{
    case::Prepared,
    latch::Latch,
    queue::Queue,
    shop::{Invoice, Order},
};

/// Ships orders, remembering which.
#[derive(Consumer)]
#[consumer(
    name = "shop.ship",
    source = "orders",
    group = "shop",
    dead_letter = "orders.dead",
    dedup_key = "id",
    retry(max_attempts = 5, backoff = fixed("1ms"))
)]
pub(crate) struct Ship {
    /// Whether the first attempt at every second order fails.
    pub(crate) flaky: bool,
}

impl Handler for Ship {
    type Message = Order;

    async fn handle(&self, order: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        if self.flaky && order.id.is_multiple_of(2) && cx.attempt() == 1 {
            return Err(HandlerError::transient("no answer from the warehouse"));
        }
        black_box((order.id, order.quantity));
        Ok(())
    }
}

/// Books invoices, remembering which.
#[derive(Consumer)]
#[consumer(
    name = "shop.book",
    source = "orders",
    group = "shop",
    dead_letter = "orders.dead",
    dedup_key = "id",
    retry(max_attempts = 5, backoff = fixed("1ms"))
)]
pub(crate) struct Book;

impl Handler for Book {
    type Message = Invoice;

    async fn handle(&self, invoice: Invoice, _: &mut Context<'_>) -> Result<(), HandlerError> {
        black_box((invoice.id, &invoice.customer, &invoice.address));
        for line in &invoice.lines {
            black_box((&line.article, line.quantity, line.cents));
        }
        Ok(())
    }
}

/// Another handler, without a memory: each message is handled at least once.
#[derive(Consumer)]
#[consumer(
    name = "shop.forgetful",
    source = "orders",
    group = "shop",
    dead_letter = "orders.dead",
    retry(max_attempts = 5, backoff = fixed("1ms"))
)]
pub(crate) struct Forgetful<H: Handler>(pub(crate) H)
where
    H::Message: DeserializeOwned;

impl<H: Handler> Handler for Forgetful<H>
where
    H::Message: DeserializeOwned,
{
    type Message = H::Message;

    async fn handle(&self, message: H::Message, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        self.0.handle(message, cx).await
    }
}

/// A layer that does nothing: what a layer costs by itself.
struct Pass;

impl Middleware for Pass {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        next.run(delivery).await
    }
}

/// What a case changes about a consumer.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup {
    pub(crate) stores: bool,
    pub(crate) layers: usize,
    pub(crate) one_at_a_time: bool,
}

/// Starts the consumer and fills its queue.
pub(crate) fn prepare<H>(
    runtime: Runtime,
    handler: H,
    setup: Setup,
    payloads: Vec<Bytes>,
) -> Prepared
where
    H: Declared<Codec = Json>,
    H::Message: DeserializeOwned,
{
    let acked = Latch::new(payloads.len());
    let queue = Queue::new(acked.clone());
    let mut builder = Consumer::of(handler);
    if setup.stores {
        builder = builder.store(MemoryStore::new());
    }
    if setup.one_at_a_time {
        builder = builder.concurrency(1);
    }
    let broker = queue.clone();
    let built = match setup.layers {
        0 => builder.build(broker),
        1 => builder.inner(Pass).build(broker),
        _ => builder.inner(Pass).inner(Pass).inner(Pass).inner(Pass).build(broker),
    };
    let consumer = built.expect("the policy of a case is right");
    runtime.spawn(consumer.run(Shutdown::new()));
    runtime.block_on(idle());
    queue.fill(payloads.into_iter());
    Prepared::new(runtime, async move { acked.opened().await })
}

/// Lets everything that was spawned run until it waits.
async fn idle() {
    const MANY: usize = 1_000;
    for _ in 0..MANY {
        tokio::task::yield_now().await;
    }
}
