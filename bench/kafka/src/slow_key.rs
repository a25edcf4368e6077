//! What one key in a hundred that is slow does to the others.

use std::{fmt, time::Duration};

use anyhow::Result;
use bench_measure::{
    Count, DEAD_LETTERS, Measured, Meter, Order, ROUNDS, consume, consumer, in_turn, progress,
    sample,
};
use steadfast::{Context, Handler, HandlerError, Message, OrderedBy};
use steadfast_kafka::KafkaBroker;

use crate::topic::{self, Topic};

/// How long a message of a slow key takes.
const SLOW: Duration = Duration::from_millis(200);

/// Every message of every hundredth key is slow: that is every hundredth message too.
const EVERY: u64 = 100;

/// How a topic is consumed, by key.
#[derive(Clone, Copy)]
struct Row {
    words: &'static str,
    topic: usize,
    concurrency: usize,
    in_flight: usize,
}

/// Partitions and keys.
const TOPICS: [(i32, u64); 3] = [(1, 100), (12, 100), (12, 10_000)];

const ROWS: [Row; 5] = [
    row("1 partition, 1 key of 100", 0, 16, 64),
    row("12 partitions, 1 key of 100", 1, 16, 64),
    row("1 partition, 1 key of 100", 0, 16, 4_096),
    row("12 partitions, 1 key of 100", 1, 16, 4_096),
    row("12 partitions, 100 keys of 10,000", 2, 256, 4_096),
];

const fn row(words: &'static str, topic: usize, concurrency: usize, in_flight: usize) -> Row {
    Row { words, topic, concurrency, in_flight }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { words, concurrency, in_flight, .. } = self;
        write!(f, "{words}, {concurrency} at once, {in_flight} in flight")
    }
}

pub(crate) async fn run(kafka: &str) -> Result<()> {
    topic::create(kafka, DEAD_LETTERS, 1).await?;
    let mut topics = Vec::new();
    for (partitions, keys) in TOPICS {
        topics.push(Topic::filled(kafka, partitions, keys).await?);
    }
    for round in 1..=ROUNDS {
        for row in ROWS {
            progress(&format!("{row}, round {round} of {ROUNDS}"));
            let (mut quick, mut slow) = (0.0, 0.0);
            for is_slow in in_turn(round, [false, true]) {
                let rate = measure(kafka, &topics[row.topic], row, is_slow).await?.rate;
                *(if is_slow { &mut slow } else { &mut quick }) = rate;
            }
            sample(row, "all quick: messages/s", quick);
            sample(row, "beside slow ones: messages/s", slow);
            sample(row, "of that", slow / quick);
        }
    }
    for topic in topics {
        topic.delete().await?;
    }
    Ok(())
}

/// How fast messages of the other keys are settled.
async fn measure(kafka: &str, topic: &Topic, row: Row, slow: bool) -> Result<Measured> {
    let meter = Meter::of(|message| !is_slow(message), 1_000, 600_000);
    let handler = OneInAHundred { slow, count: Count(meter.clone()) };
    let consumer = consumer(handler, topic.name(), None)
        .ordered_by(OrderedBy::Key)
        .concurrency(row.concurrency)
        .max_in_flight(row.in_flight);
    consume(consumer, KafkaBroker::new(kafka), meter).await
}

/// Which messages are slow, if any are.
fn is_slow(message: &Message) -> bool {
    let number = |key: &[u8]| std::str::from_utf8(key).ok()?.rsplit('-').next()?.parse().ok();
    message.key.as_deref().and_then(number).is_some_and(|number: u64| number.is_multiple_of(EVERY))
}

/// Takes its time for every hundredth key.
struct OneInAHundred {
    slow: bool,
    count: Count,
}

impl Handler for OneInAHundred {
    type Message = Order;

    async fn handle(&self, order: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        // A key is the number of the order modulo a multiple of a hundred.
        if self.slow && order.number().is_multiple_of(EVERY) {
            tokio::time::sleep(SLOW).await;
        }
        self.count.handle(order, cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::key;

    #[test]
    fn every_hundredth_key_is_slow() {
        let slow = |number| is_slow(&Message::new("").with_key(key(number)));
        assert!(slow(0) && slow(9_900) && !slow(1) && !slow(101));
        assert!(!is_slow(&Message::new("")));
    }
}
