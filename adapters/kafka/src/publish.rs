//! Puts messages into topics, and knows that they are there.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rdkafka::{ClientConfig, error::RDKafkaErrorCode as Code, producer::FutureProducer};
use steadfast::{
    Message,
    broker::{BoxError, BrokerError, Publish, PublishError},
};
use tokio::time::Instant;

use crate::{
    client_log::Logged,
    config::{Config, Partitioner},
    convert::to_record,
    error::of_publish,
    look,
};

/// An idempotent producer whose every message is confirmed by all replicas in sync. Clones share it.
#[derive(Clone)]
pub(crate) struct KafkaPublisher(Arc<Inner>);

struct Inner {
    config: Config,
    settings: ClientConfig,
    producer: Mutex<FutureProducer<Logged>>,
    /// How many partitions a topic had, and when, where a function of the user's chooses among them.
    partitions: Mutex<HashMap<String, (u32, Instant)>>,
}

/// How long a number of partitions is believed: as long as Java's producer does (`metadata.max.age.ms`).
const BELIEVED: Duration = Duration::from_secs(300);

impl KafkaPublisher {
    pub(crate) fn new(config: Config) -> Result<Self, BrokerError> {
        let settings = config.producer();
        let producer = Mutex::new(config.create(&settings, Logged)?);
        Ok(Self(Arc::new(Inner { config, settings, producer, partitions: Mutex::default() })))
    }

    fn producer(&self) -> FutureProducer<Logged> {
        self.0.producer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A producer that has lost its place in the sequence can send nothing more.
    fn renew(&self) {
        let Ok(producer) = self.0.config.create(&self.0.settings, Logged) else { return };
        let failed = {
            let mut current = self.0.producer.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, producer)
        };
        // Its end waits for threads of its own.
        tokio::task::spawn_blocking(move || drop(failed));
    }

    /// The partition that the user's function chooses; `None` where the client chooses.
    async fn choose(&self, topic: &str, message: &Message) -> Result<Option<i32>, PublishError> {
        let Partitioner::Explicit(choose) = &self.0.config.partitioner else { return Ok(None) };
        let known = self.partitions(|known| known.get(topic).copied());
        let count = match known.filter(|(_, seen)| seen.elapsed() < BELIEVED) {
            Some((count, _)) => count,
            None => {
                let count = look::partitions(&self.0.config, topic).await.map_err(unavailable)?;
                self.partitions(|known| known.insert(topic.to_owned(), (count, Instant::now())));
                count
            }
        };
        let chosen = catch_unwind(AssertUnwindSafe(|| choose(message, count)));
        match chosen.map(|chosen| (chosen, i32::try_from(chosen))) {
            Ok((chosen, Ok(partition))) if chosen < count => Ok(Some(partition)),
            Ok((chosen, _)) => Err(PublishError::Refused(
                format!("the partitioner says {chosen}, and the topic has {count} partitions")
                    .into(),
            )),
            Err(_) => Err(PublishError::Refused("the partitioner has panicked".into())),
        }
    }

    fn partitions<T>(&self, change: impl FnOnce(&mut HashMap<String, (u32, Instant)>) -> T) -> T {
        change(&mut self.0.partitions.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Publish for KafkaPublisher {
    async fn publish(&self, destination: &str, message: &Message) -> Result<(), PublishError> {
        let (size, most) = (message.size(), self.0.config.max_message_bytes);
        if size > most {
            let complaint = format!("it has {size} bytes, and `max_message_bytes` is {most}");
            return Err(PublishError::Refused(complaint.into()));
        }
        let mut record = to_record(destination, message);
        record.partition = self.choose(destination, message).await?;
        // Confirmed or given up within the producer's own deadline; a full queue waits as long.
        let producer = self.producer();
        let sent = producer.send(record, self.0.config.publish_timeout).await;
        // The last of a producer that is renewed is not to end here.
        drop(producer);
        match sent {
            Ok(_) => Ok(()),
            Err((error, _)) => {
                match error.rdkafka_error_code() {
                    Some(Code::Fatal) => {
                        tracing::error!(%error, "the producer can send nothing more: renewing it");
                        self.renew();
                    }
                    // The topic was made anew with fewer.
                    Some(Code::UnknownPartition) => {
                        self.partitions(|known| known.remove(destination));
                    }
                    _ => {}
                }
                Err(of_publish(error))
            }
        }
    }

    async fn check(&self, destination: &str) -> Result<(), BrokerError> {
        look::partitions(&self.0.config, destination).await.map(|_| ())
    }
}

fn unavailable(error: BrokerError) -> PublishError {
    let error: BoxError = error.into();
    PublishError::Unavailable(error)
}
