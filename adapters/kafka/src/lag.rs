//! How far a consumer is behind, partition by partition: an average hides the one that stands still.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use metrics::gauge;
use rdkafka::statistics::{self, Statistics};

use crate::state::{Shared, State};

/// How far one partition is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionLag {
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// Offsets between what may be committed and the end of the partition. Holes count.
    pub offsets: u64,
    /// How long ago the oldest received and unsettled message was published, if there is one.
    pub oldest_unsettled: Option<Duration>,
}

/// What the sessions of a broker last saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lag(Arc<Mutex<Table>>);

type Table = BTreeMap<(String, String, i32), PartitionLag>;

impl Lag {
    pub(crate) fn read(&self) -> Vec<PartitionLag> {
        self.table(|table| table.values().cloned().collect())
    }

    /// Forgets partitions that have gone, so that a gauge of theirs does not stand still.
    pub(crate) fn forget<'a>(&self, group: &str, gone: impl Iterator<Item = (&'a str, i32)>) {
        for (topic, partition) in gone {
            let known = (group.to_owned(), topic.to_owned(), partition);
            if self.table(|table| table.remove(&known)).is_some() {
                show(group, topic, partition, 0, Duration::ZERO);
            }
        }
    }

    fn table<T>(&self, read: impl FnOnce(&mut Table) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the client told of one partition.
pub(crate) struct Seen {
    epoch: u64,
    /// The end of what can be read.
    end: i64,
    /// The oldest that there is.
    low: i64,
    /// Where the client fetches next; it passes holes.
    next: i64,
    /// What the client has fetched and not handed over, marks of its own included.
    fetched: i64,
}

impl Shared {
    /// Takes in what the client tells regularly.
    pub(crate) fn see(&self, statistics: &Statistics) {
        let lags = self.update(|state| {
            let mut seen = Vec::with_capacity(state.partitions.len());
            for (name, topic) in &statistics.topics {
                for (number, told) in &topic.partitions {
                    let Some(epoch) = state.epoch_of(name, *number) else { continue };
                    seen.extend(Seen::new(epoch, told, self.reads_uncommitted));
                }
            }
            state.seen = seen;
            state.lags(&self.group, SystemTime::now())
        });
        for lag in lags {
            let age = lag.oldest_unsettled.unwrap_or_default();
            show(&lag.group, &lag.topic, lag.partition, lag.offsets, age);
            let key = (lag.group.clone(), lag.topic.clone(), lag.partition);
            self.lag.table(|table| table.insert(key, lag));
        }
    }
}

impl Seen {
    fn new(epoch: u64, told: &statistics::Partition, reads_uncommitted: bool) -> Option<Self> {
        // Nothing behind a transaction that is still open is delivered.
        let end = match (told.ls_offset, told.hi_offset) {
            (stable, _) if stable >= 0 && !reads_uncommitted => stable,
            (_, high) => high,
        };
        let (low, next, fetched) = (told.lo_offset.max(0), told.next_offset, told.fetchq_cnt);
        (end >= 0).then_some(Self { epoch, end, low, next, fetched })
    }
}

impl State {
    fn lags(&self, group: &str, now: SystemTime) -> Vec<PartitionLag> {
        let one = |seen: &Seen| {
            let partition = self.partitions.get(&seen.epoch)?;
            let position = partition.watermark.position().unwrap_or(partition.next_offset());
            Some(PartitionLag {
                group: group.to_owned(),
                topic: partition.topic.to_string(),
                partition: partition.number,
                offsets: u64::try_from(seen.end - position).unwrap_or_default(),
                oldest_unsettled: partition
                    .oldest()
                    .map(|oldest| now.duration_since(oldest).unwrap_or_default()),
            })
        };
        self.seen.iter().filter_map(one).collect()
    }

    /// How many messages could be delivered now, as far as the client has told; nothing, before it has.
    pub(crate) fn backlog(&self, shared: &Shared) -> Option<u64> {
        let is_known = self.partitions.is_empty() || !self.seen.is_empty();
        if !self.joined || !is_known {
            return None;
        }
        let (now, bounds) = (SystemTime::now(), self.bounds(shared));
        let mut backlog = 0;
        for seen in &self.seen {
            let Some(partition) = self.partitions.get(&seen.epoch) else { continue };
            let (ready, takes_more) = partition.ready(bounds, now);
            backlog += u64::try_from(ready).unwrap_or(u64::MAX);
            if takes_more && partition.delay.is_none() {
                let next = seen.next.max(seen.low);
                let fetched = seen.fetched.min(next - partition.next_offset());
                let waiting = fetched.max(0) + (seen.end - next).max(0);
                backlog += u64::try_from(waiting).unwrap_or_default();
            }
        }
        Some(backlog)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge needs no more than 53 bits")]
fn show(group: &str, topic: &str, partition: i32, offsets: u64, age: Duration) {
    let labels = [
        ("group", group.to_owned()),
        ("topic", topic.to_owned()),
        ("partition", partition.to_string()),
    ];
    gauge!("steadfast_kafka_lag", &labels).set(offsets as f64);
    gauge!("steadfast_kafka_oldest_unsettled_seconds", &labels).set(age.as_secs_f64());
}
