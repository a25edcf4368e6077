//! The consumer that is measured.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use anyhow::Result;
use steadfast::{
    Builder, Consumer, Context, DedupKey, Handler, HandlerError, Shutdown, broker::Broker,
};

use crate::{Measured, Memory, Meter, Order, metered::Metered};

/// A handler that does nothing but count.
pub struct Count(pub Meter);

impl Handler for Count {
    type Message = Order;

    async fn handle(&self, order: Order, _: &mut Context<'_>) -> Result<(), HandlerError> {
        self.0.handled(&order);
        Ok(())
    }
}

/// A consumer of this queue or topic, with the defaults. It is of a group of its own: to Kafka it has
/// read nothing yet, to the store it has done nothing yet.
pub fn consumer<H: Handler<Message = Order>>(
    handler: H,
    source: &str,
    memory: Option<&Memory>,
) -> Builder<H> {
    let builder = Consumer::builder("bench.count", handler)
        .source(source)
        .group(new_group())
        .dead_letter(DEAD_LETTERS);
    match memory {
        None => builder,
        Some(memory) => builder.store(memory.store()).dedup_key(DedupKey::field(|o: &Order| &o.id)),
    }
}

/// Where messages would go that fail; none does.
pub const DEAD_LETTERS: &str = "bench.dead";

/// Runs a consumer on this broker until its meter has measured it.
///
/// # Errors
/// Those of the consumer, and those of [`Meter::measure`].
pub async fn consume<H: Handler<Message = Order>>(
    builder: Builder<H>,
    broker: impl Broker,
    meter: Meter,
) -> Result<Measured> {
    let consumer = builder.build(Metered { broker, meter: meter.clone() })?;
    let shutdown = Shutdown::new();
    let running = consumer.run(shutdown.clone());
    let work = tokio::spawn(async { Ok(running.await?) });
    meter.measure(work, || shutdown.trigger()).await
}

/// A name that no group of this run had, on either side.
pub fn new_group() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}
