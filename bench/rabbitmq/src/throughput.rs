//! Messages that are settled in a second.

use std::fmt;

use anyhow::Result;
use bench_measure::{Count, Memory, Meter, Side, compare, consumer};

use crate::{
    bare,
    queue::{CLASSIC, Filler, QUORUM, declared},
};

/// A queue and how much is asked of it.
#[derive(Clone, Copy)]
struct Row {
    queue: &'static str,
    concurrency: u16,
    /// With PostgreSQL.
    remembered: u64,
}

/// The first of each queue with the defaults.
const ROWS: [Row; 4] = [
    Row { queue: CLASSIC, concurrency: 16, remembered: 10_000 },
    Row { queue: QUORUM, concurrency: 16, remembered: 10_000 },
    Row { queue: CLASSIC, concurrency: 256, remembered: MESSAGES },
    Row { queue: QUORUM, concurrency: 256, remembered: MESSAGES },
];

/// Without a store.
const MESSAGES: u64 = 40_000;

impl Row {
    /// Four times the concurrency, as a consumer does by itself.
    fn in_flight(self) -> u16 {
        4 * self.concurrency
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.queue.rsplit('.').next().unwrap_or_default();
        write!(f, "{kind} queue, {} in flight", self.in_flight())
    }
}

pub(crate) async fn run(rabbitmq: &str, postgres: &str) -> Result<()> {
    let broker = declared(rabbitmq).await?;
    let filler = Filler::connect(rabbitmq).await?;
    let memory = Memory::new(postgres).await?;
    compare(&ROWS, async |row, side| {
        let messages = if side == Side::Remembering { row.remembered } else { MESSAGES };
        filler.fill(row.queue, messages).await?;
        let meter = Meter::new(messages);
        if matches!(side, Side::Bare | Side::Tuned) {
            let (url, tuned) = (rabbitmq.to_owned(), side == Side::Tuned);
            let work = bare::consume(url, row.queue, row.in_flight(), tuned, meter.clone());
            return meter.measure(tokio::spawn(work), || {}).await;
        }
        let memory = (side == Side::Remembering).then_some(&memory);
        let consumer = consumer(Count(meter.clone()), row.queue, memory);
        let consumer = consumer.concurrency(row.concurrency.into());
        bench_measure::consume(consumer, broker.clone(), meter).await
    })
    .await
}
