//! Messages that are settled in a second.

use std::fmt;

use anyhow::Result;
use bench_measure::{Count, DEAD_LETTERS, Memory, Meter, Side, compare, consumer};
use steadfast::OrderedBy;
use steadfast_kafka::KafkaBroker;

use crate::{
    bare,
    topic::{self, MESSAGES, Topic},
};

/// How a topic is consumed.
#[derive(Clone, Copy)]
struct Row {
    partitions: i32,
    by_key: bool,
    concurrency: usize,
    /// With PostgreSQL.
    remembered: u64,
}

const fn row(partitions: i32, by_key: bool, concurrency: usize, remembered: u64) -> Row {
    Row { partitions, by_key, concurrency, remembered }
}

/// The first four with the defaults.
const ROWS: [Row; 6] = [
    row(1, false, 16, 10_000),
    row(12, false, 16, 10_000),
    row(1, true, 16, 10_000),
    row(12, true, 16, 10_000),
    row(12, false, 256, 40_000),
    row(12, true, 256, 40_000),
];

/// Few messages in flight at the same time are of the same key.
const KEYS: u64 = 10_000;

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partitions, concurrency, .. } = self;
        let noun = if *partitions == 1 { "partition" } else { "partitions" };
        let order = if self.by_key { ", by key" } else { "" };
        write!(f, "{partitions} {noun}{order}, {} in flight", 4 * concurrency)
    }
}

pub(crate) async fn run(kafka: &str, postgres: &str) -> Result<()> {
    topic::create(kafka, DEAD_LETTERS, 1).await?;
    let one = Topic::filled(kafka, 1, KEYS).await?;
    let twelve = Topic::filled(kafka, 12, KEYS).await?;
    let memory = Memory::new(postgres).await?;
    compare(&ROWS, async |row, side| {
        let topic = if row.partitions == 1 { &one } else { &twelve };
        let meter = Meter::new(if side == Side::Remembering { row.remembered } else { MESSAGES });
        let servers = kafka.to_owned();
        let bare = bare::Tracked::new(topic.name(), topic.partitions(), meter.clone());
        let bare = match side {
            Side::Bare => Some(tokio::spawn(bare::stream(servers, bare))),
            Side::Tuned => Some(tokio::task::spawn_blocking(move || bare::poll(&servers, bare))),
            Side::Forgetful | Side::Remembering => None,
        };
        if let Some(work) = bare {
            return meter.measure(work, || {}).await;
        }
        let memory = (side == Side::Remembering).then_some(&memory);
        let mut consumer = consumer(Count(meter.clone()), topic.name(), memory);
        if row.by_key {
            consumer = consumer.ordered_by(OrderedBy::Key);
        }
        let consumer = consumer.concurrency(row.concurrency);
        bench_measure::consume(consumer, KafkaBroker::new(kafka), meter).await
    })
    .await?;
    one.delete().await?;
    twelve.delete().await
}
