//! Trackeds on the bare client that track what they have handled, and commit that.

use std::time::{Duration, Instant};

use anyhow::Result;
use bench_measure::{Meter, Order, new_group};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, StreamConsumer},
    message::BorrowedMessage,
};

/// As often as the adapter.
const COMMITS: Duration = Duration::from_millis(200);

/// How many messages lie between two looks at the clock, which costs too.
const LOOK: u32 = 64;

/// The longest wait for a message, before the loop looks whether it is over.
const POLL: Duration = Duration::from_millis(100);

/// The stream of the client for tokio.
pub(crate) async fn stream(servers: String, mut tracked: Tracked) -> Result<()> {
    let consumer: StreamConsumer = settings(&servers).create()?;
    consumer.subscribe(&[&tracked.topic])?;
    while !tracked.meter.is_over() {
        tracked.take(&consumer.recv().await?, &consumer)?;
    }
    tracked.commit(&consumer, CommitMode::Sync)
}

/// The plainest consumer, on a thread of its own. It does not wait for a second whenever it has fetched
/// enough, as the client does by default.
pub(crate) fn poll(servers: &str, mut tracked: Tracked) -> Result<()> {
    let consumer: BaseConsumer = settings(servers).set("fetch.queue.backoff.ms", "10").create()?;
    consumer.subscribe(&[&tracked.topic])?;
    while !tracked.meter.is_over() {
        if let Some(message) = consumer.poll(POLL) {
            tracked.take(&message?, &consumer)?;
        }
    }
    tracked.commit(&consumer, CommitMode::Sync)
}

fn settings(servers: &str) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", servers)
        .set("group.id", new_group())
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest");
    settings
}

/// Handles one message after another, and so keeps order without doing anything for it. A message
/// counts as settled when it has been handled: a later commit tells the broker.
pub(crate) struct Tracked {
    topic: String,
    meter: Meter,
    positions: Vec<Option<i64>>,
    last_commit: Instant,
    until_look: u32,
}

impl Tracked {
    pub(crate) fn new(topic: &str, partitions: usize, meter: Meter) -> Self {
        let (topic, positions) = (topic.to_owned(), vec![None; partitions]);
        Self { topic, meter, positions, last_commit: Instant::now(), until_look: LOOK }
    }

    fn take(&mut self, message: &BorrowedMessage<'_>, consumer: &impl Consumer) -> Result<()> {
        self.meter.handled(&Order::from_json(message.payload().unwrap_or_default())?);
        self.positions[usize::try_from(message.partition())?] = Some(message.offset() + 1);
        self.meter.settled(1);
        self.until_look -= 1;
        if self.until_look == 0 {
            self.until_look = LOOK;
            if self.last_commit.elapsed() >= COMMITS {
                self.commit(consumer, CommitMode::Async)?;
                self.last_commit = Instant::now();
            }
        }
        Ok(())
    }

    fn commit(&self, consumer: &impl Consumer, mode: CommitMode) -> Result<()> {
        let mut list = TopicPartitionList::new();
        for (partition, position) in (0..).zip(&self.positions) {
            if let Some(position) = position {
                list.add_partition_offset(&self.topic, partition, Offset::Offset(*position))?;
            }
        }
        Ok(consumer.commit(&list, mode)?)
    }
}
