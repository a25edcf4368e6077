//! What happens when partitions come and go. All of it runs on the thread that polls, inside of the
//! client's callback: the partitions are ours until the callback gives them away.

use std::{
    sync::{Arc, OnceLock, Weak, atomic::Ordering},
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    client::ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, RDKafkaErrorCode as Code},
    statistics::Statistics,
    types::RDKafkaRespErr,
};
use steadfast::broker::BrokerError;

use crate::{
    beginning::{ASK, Beginning, oldest},
    client_log,
    config::Start,
    end,
    error::of_session,
    partition::Partition,
    state::{Shared, new_epoch},
};

/// What the client calls back on.
pub(crate) struct Membership {
    pub(crate) shared: Arc<Shared>,
    pub(crate) start: Start,
    pub(crate) revoke_wait: Duration,
    /// The consumer itself, which the client's callback gives by reference only.
    pub(crate) me: OnceLock<Weak<BaseConsumer<Self>>>,
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        client_log::log(level, facility, line);
    }

    fn stats(&self, statistics: Statistics) {
        self.shared.see(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Whoever polls gets the error too, and can take locks: this may be called under one.
        match error.rdkafka_error_code() {
            Some(Code::PartitionEOF) => return end::hear(reason),
            Some(Code::AllBrokersDown) => self.shared.unreachable.store(true, Ordering::Relaxed),
            _ => {}
        }
        tracing::debug!(%error, reason, "the client reports");
    }
}

impl ConsumerContext for Membership {
    /// Each call names what changes: everything in the eager protocol, a part in the others.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        changes: &mut TopicPartitionList,
    ) {
        let by_steps = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let starts = self.take_over(consumer, changes);
            let assigned = match by_steps {
                true => consumer.incremental_assign(&starts),
                false => consumer.assign(&starts),
            };
            self.shared.update(|state| {
                state.joined = true;
                state.commits_fail_since = None;
            });
            assigned
        } else {
            self.give_away(consumer, changes);
            if by_steps { consumer.incremental_unassign(changes) } else { consumer.unassign() }
        };
        if let Err(error) = done {
            self.shared.end(BrokerError::unavailable(error));
        }
    }
}

impl Membership {
    /// Makes places for partitions, and says where each begins.
    fn take_over(
        &self,
        consumer: &BaseConsumer<Self>,
        new: &TopicPartitionList,
    ) -> TopicPartitionList {
        let starts = match self.starts(consumer, new) {
            Ok(starts) => starts,
            Err(error) => {
                self.shared.end(error);
                return TopicPartitionList::new();
            }
        };
        let mut list = TopicPartitionList::new();
        for (topic, number, start) in starts {
            let Some(me) = self.me.get().and_then(Weak::upgrade) else { continue };
            // Before the partition is assigned, so that not one record takes another way.
            let Some(mut queue) = me.split_partition_queue(&topic, number) else { continue };
            let shared = Arc::clone(&self.shared);
            queue.set_nonempty_callback(move || shared.changed.notify_waiters());
            let tier = self.shared.tiers.iter().find(|tier| tier.topic == topic);
            let delay = tier.map(|tier| tier.delay);
            if let Err(error) = list.add_partition_offset(&topic, number, start) {
                self.shared.end(BrokerError::unavailable(error));
                continue;
            }
            tracing::info!(topic, partition = number, ?start, "a partition is assigned");
            let epoch = new_epoch();
            // Zero until the client has found the oldest.
            let start = if let Offset::Offset(offset) = start { offset } else { 0 };
            let partition = Partition::new(topic.into(), number, epoch, delay, (start, queue));
            self.shared.update(|state| state.partitions.insert(epoch, partition));
        }
        list
    }

    fn starts(
        &self,
        consumer: &BaseConsumer<Self>,
        new: &TopicPartitionList,
    ) -> Result<Vec<Beginning>, BrokerError> {
        let committed = consumer.committed_offsets(new.clone(), ASK).map_err(of_session)?;
        let mut starts = Vec::new();
        let mut without = TopicPartitionList::new();
        for one in committed.elements() {
            let (topic, number) = (one.topic(), one.partition());
            one.error().map_err(of_session)?;
            let is_retry = self.shared.tiers.iter().any(|tier| tier.topic == topic);
            match one.offset() {
                Offset::Offset(offset) if !self.is_lost(topic, number, offset) => {
                    starts.push((topic.to_owned(), number, one.offset()));
                }
                _ if self.start == Start::Refuse && !is_retry => {
                    let group = &self.shared.group;
                    return Err(BrokerError::Misconfigured(format!(
                        "the group `{group}` has no position in {topic}-{number} that exists: set \
                         one, or begin with `Start::Earliest`"
                    )));
                }
                _ => {
                    let beginning = Offset::Beginning;
                    without.add_partition_offset(topic, number, beginning).map_err(of_session)?;
                }
            }
        }
        if without.count() > 0 {
            starts.extend(oldest(consumer, &without)?);
        }
        Ok(starts)
    }

    fn is_lost(&self, topic: &str, number: i32, offset: i64) -> bool {
        self.shared.lost_positions.has(&self.shared.group, topic, number, offset)
    }

    /// Takes no more, waits for what is in flight, cancels what takes too long, commits, lets go.
    fn give_away(&self, consumer: &BaseConsumer<Self>, gone: &TopicPartitionList) {
        let shared = &*self.shared;
        let names: Vec<(String, i32)> =
            gone.elements().iter().map(|one| (one.topic().to_owned(), one.partition())).collect();
        let lost = consumer.assignment_lost();
        let epochs = shared.update(|state| {
            state.joined &= !lost;
            let epochs: Vec<u64> =
                names.iter().filter_map(|(topic, number)| state.epoch_of(topic, *number)).collect();
            for epoch in &epochs {
                if let Some(partition) = state.partitions.get_mut(epoch) {
                    partition.take_back();
                }
            }
            epochs
        });
        if !lost {
            shared.wait_until_settled(&epochs, self.revoke_wait);
        }
        let cancelled = shared.update(|state| {
            let partitions = epochs.iter().filter_map(|epoch| state.partitions.get(epoch));
            let held = partitions.filter(|partition| !partition.holds_nothing());
            held.map(|partition| partition.cancel()).count()
        });
        if !lost {
            shared.wait_until_settled(&epochs, self.revoke_wait);
            self.commit_within(self.revoke_wait, &epochs);
        }
        shared.update(|state| epochs.iter().for_each(|epoch| drop(state.partitions.remove(epoch))));
        shared.lag.forget(&shared.group, names.iter().map(|(topic, number)| (&**topic, *number)));
        tracing::info!(partitions = names.len(), cancelled, lost, "partitions are taken back");
    }
}
