//! Where a partition begins that has no position.

use std::{thread, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
    topic_partition_list::TopicPartitionListElem,
};
use steadfast::broker::BrokerError;

use crate::{error::of_session, rebalance::Membership};

/// A topic, a partition, and where that begins.
pub(crate) type Beginning = (String, i32, Offset);

/// Longest time for one question.
pub(crate) const ASK: Duration = Duration::from_secs(10);

/// The oldest offset there is. The client would look for it itself; but a rebalance that comes in between
/// leaves it waiting for an answer that it has thrown away, and the partition stands still. So that is left
/// to it only where nobody leads a partition.
pub(crate) fn oldest(
    consumer: &BaseConsumer<Membership>,
    partitions: &TopicPartitionList,
) -> Result<Vec<Beginning>, BrokerError> {
    // A partition that is new has no leader for a moment.
    const QUESTIONS: u32 = 8;
    const NEWS: Duration = Duration::from_millis(250);
    let mut question = 1;
    loop {
        let found = ask_for_oldest(consumer, partitions)?;
        let led = |(.., offset): &Beginning| *offset != Offset::Beginning;
        let without_leader = found.iter().find(|one| !led(one));
        let Some((topic, partition, _)) = without_leader else { return Ok(found) };
        if question == QUESTIONS {
            tracing::warn!(topic, partition, "nobody leads it: it begins when somebody does");
            return Ok(found);
        }
        thread::sleep(NEWS);
        // What the client knows of a leader is what it was told last.
        consumer.fetch_metadata(Some(topic), ASK).map_err(of_session)?;
        question += 1;
    }
}

/// [`Offset::Beginning`] where nobody leads the partition.
fn ask_for_oldest(
    consumer: &BaseConsumer<Membership>,
    partitions: &TopicPartitionList,
) -> Result<Vec<Beginning>, BrokerError> {
    // What is asked is `ListOffsets`, where the time -2 stands for the oldest, as here the offset -2.
    let found = match consumer.offsets_for_times(partitions.clone(), ASK) {
        Ok(found) => Some(found),
        // What the client says when it has found a leader for none of them.
        Err(error) if error.rdkafka_error_code() == Some(Code::UnknownPartition) => None,
        Err(error) if has_no_leader(&error) => None,
        Err(error) => return Err(of_session(error)),
    };
    let start = |one: &TopicPartitionListElem<'_>| match (one.error(), one.offset()) {
        (Ok(()), offset @ Offset::Offset(_)) => Ok(offset),
        (Ok(()), _) if found.is_none() => Ok(Offset::Beginning),
        (Err(error), _) if has_no_leader(&error) => Ok(Offset::Beginning),
        (Err(error), _) => Err(of_session(error)),
        (Ok(()), _) => {
            let words = format!("the start of {}-{} is not told", one.topic(), one.partition());
            Err(BrokerError::unavailable(words))
        }
    };
    let elements = found.as_ref().unwrap_or(partitions).elements();
    let named =
        elements.iter().map(|one| Ok((one.topic().to_owned(), one.partition(), start(one)?)));
    named.collect()
}

fn has_no_leader(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(Code::LeaderNotAvailable)
}
