//! One partition in one assignment: what of it was received, what is held, what comes again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rdkafka::{consumer::base_consumer::PartitionQueue, error::KafkaError, message::Message as _};
use steadfast::{Cancellation, Cancelled, Delivery, Receipt};

use crate::{convert::Record, end, rebalance::Membership, watermark::Watermark};

/// The queue of one partition's records inside the client, which fetches ahead into it.
pub(crate) type Queue = PartitionQueue<Membership>;

/// A partition that is assigned to this session. Its epoch is in every receipt, so that results of an
/// earlier assignment find nothing here to change.
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) number: i32,
    pub(crate) epoch: u64,
    /// Where it begins.
    start: i64,
    /// How long after its arrival a record is due; set in retry topics.
    pub(crate) delay: Option<Duration>,
    pub(crate) watermark: Watermark,
    queue: Option<Queue>,
    held: HashMap<u64, Held>,
    /// Received and not held: given back, or not yet due. Handed out before what is in the queue.
    waiting: BTreeMap<i64, Record>,
}

/// A delivery that is not settled.
struct Held {
    record: Record,
    cancellation: Cancellation,
}

/// What a partition may have received and not settled.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// From the oldest unsettled record to the newest received one.
    pub(crate) span: usize,
    /// Handed out.
    pub(crate) held: usize,
}

/// What a partition has for a receiver.
pub(crate) enum Next {
    Record(Record),
    /// Its first record is due then.
    NotBefore(SystemTime),
    Nothing,
    Trouble(KafkaError),
}

impl Partition {
    pub(crate) fn new(
        topic: Arc<str>,
        number: i32,
        epoch: u64,
        delay: Option<Duration>,
        (start, queue): (i64, Queue),
    ) -> Self {
        Self {
            topic,
            number,
            epoch,
            start,
            delay,
            watermark: Watermark::default(),
            queue: Some(queue),
            held: HashMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// The next record that may be handed out: in the order of the partition.
    pub(crate) fn next(&mut self, bounds: Bounds, now: SystemTime) -> Next {
        if self.held.len() >= bounds.held {
            return Next::Nothing;
        }
        let mut record = match self.waiting.pop_first() {
            Some((_, record)) => record,
            None if self.watermark.span() >= bounds.span => return Next::Nothing,
            None => match self.fetch() {
                Ok(Some(record)) => record,
                Ok(None) => return Next::Nothing,
                Err(error) => return Next::Trouble(error),
            },
        };
        if self.delay.is_some() {
            record.arrived.get_or_insert(now);
        }
        match self.due(&record).filter(|due| *due > now) {
            None => Next::Record(record),
            Some(due) => {
                self.waiting.insert(record.offset, record);
                Next::NotBefore(due)
            }
        }
    }

    fn fetch(&mut self) -> Result<Option<Record>, KafkaError> {
        loop {
            let Some(queue) = &self.queue else { return Ok(None) };
            match queue.poll(Duration::ZERO) {
                None => return Ok(None),
                Some(Ok(record)) if self.watermark.receive(record.offset()) => {
                    return Ok(Some(Record::copy(&record)));
                }
                // The client has gone back, and it is here already.
                Some(Ok(_)) => {}
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    // It comes behind all records before it. Nothing else may be told so: what the
                    // client counts runs ahead of records that it fetches once more.
                    if let Some(end) = end::last_heard().filter(|end| *end > self.start) {
                        self.watermark.pass(end);
                    }
                }
                Some(Err(error)) => return Err(error),
            }
        }
    }

    /// Takes in a record that came past the queue.
    pub(crate) fn adopt(&mut self, record: Record) {
        if self.watermark.receive(record.offset) {
            self.waiting.insert(record.offset, record);
        }
    }

    /// Counted from its arrival at the broker, or here where the broker does not say.
    fn due(&self, record: &Record) -> Option<SystemTime> {
        record.arrived?.checked_add(self.delay?)
    }

    /// Hands a record out.
    pub(crate) fn hand_out(&mut self, record: Record, tag: u64) -> Delivery {
        let delivery = record.delivery(&self.topic, self.number, Receipt::new(self.epoch, tag));
        let cancellation = delivery.cancellation().clone();
        self.held.insert(tag, Held { record, cancellation });
        delivery
    }

    pub(crate) fn holds(&self, tag: u64) -> bool {
        self.held.contains_key(&tag)
    }

    /// Settles a delivery for good. False when it is not held.
    pub(crate) fn ack(&mut self, tag: u64) -> bool {
        let held = self.held.remove(&tag);
        if let Some(held) = &held {
            self.watermark.settle(held.record.offset);
        }
        held.is_some()
    }

    /// Lets a delivery come again, in its place. False when it is not held.
    pub(crate) fn give_back(&mut self, tag: u64) -> bool {
        let held = self.held.remove(&tag);
        let was_held = held.is_some();
        if let Some(Held { record, .. }) = held.filter(|_| self.queue.is_some()) {
            self.waiting.insert(record.offset, record);
        }
        was_held
    }

    /// Hands out no more, since the partition goes away. What is held can still be settled.
    pub(crate) fn take_back(&mut self) {
        self.queue = None;
        self.waiting.clear();
    }

    pub(crate) fn is_taken_back(&self) -> bool {
        self.queue.is_none()
    }

    pub(crate) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// Tells those who work on what is held that it is no longer ours.
    pub(crate) fn cancel(&self) {
        self.held.values().for_each(|held| held.cancellation.trip(Cancelled::Revoked));
    }

    /// When the oldest unsettled message arrived.
    pub(crate) fn oldest(&self) -> Option<SystemTime> {
        let held = self.held.values().map(|held| &held.record);
        held.chain(self.waiting.values()).filter_map(|record| record.timestamp).min()
    }

    /// Behind what was received; where the assignment begins, before that.
    pub(crate) fn next_offset(&self) -> i64 {
        self.watermark.next().unwrap_or(self.start)
    }

    /// How many records wait here, and whether more may be received.
    pub(crate) fn ready(&self, bounds: Bounds, now: SystemTime) -> (usize, bool) {
        if self.held.len() >= bounds.held {
            return (0, false);
        }
        let due = |record: &&Record| self.due(record).is_none_or(|due| due <= now);
        let ready = self.waiting.values().take_while(due).count();
        let blocked = ready < self.waiting.len();
        (ready, !blocked && !self.is_taken_back() && self.watermark.span() < bounds.span)
    }
}
