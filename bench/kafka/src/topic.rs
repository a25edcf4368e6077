//! Topics, filled once and read by a new group each time.

use std::time::Duration;

use anyhow::{Result, ensure};
use bench_measure::{Order, new_group, progress};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};

/// What every topic holds.
pub(crate) const MESSAGES: u64 = 1_000_000;

const PATIENCE: Duration = Duration::from_secs(60);

/// A topic full of orders, whose keys take turns. It is deleted by [`Topic::delete`].
pub(crate) struct Topic {
    servers: String,
    name: String,
    partitions: i32,
}

impl Topic {
    /// Makes and fills one.
    pub(crate) async fn filled(servers: &str, partitions: i32, keys: u64) -> Result<Self> {
        progress(&format!("filling a topic of {partitions} partitions, {keys} keys"));
        let name = format!("bench.{partitions}.{keys}.{}", new_group());
        let topic = Self { servers: servers.to_owned(), name, partitions };
        create(servers, &topic.name, partitions).await?;
        tokio::task::block_in_place(|| topic.fill(keys).and_then(|()| topic.is_full()))?;
        Ok(topic)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn partitions(&self) -> usize {
        usize::try_from(self.partitions).unwrap_or_default()
    }

    pub(crate) async fn delete(self) -> Result<()> {
        for deleted in admin(&self.servers)?.delete_topics(&[&self.name], &options()).await? {
            deleted.map_err(|(topic, code)| anyhow::anyhow!("{topic} is not deleted: {code}"))?;
        }
        Ok(())
    }

    fn fill(&self, keys: u64) -> Result<()> {
        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.servers)
            .set("linger.ms", "50")
            .set("partitioner", "murmur2_random")
            .create()?;
        for number in 0..MESSAGES {
            let (key, payload) = (key(number % keys), Order::new(number).to_json()?);
            let mut record = BaseRecord::to(&self.name).key(&key).payload(&payload);
            while let Err((error, refused)) = producer.send(record) {
                ensure!(error == KafkaError::MessageProduction(Code::QueueFull), error);
                std::thread::sleep(Duration::from_millis(1));
                record = refused;
            }
        }
        Ok(producer.flush(PATIENCE)?)
    }

    /// The producer tells of lost messages only who asks for each.
    fn is_full(&self) -> Result<()> {
        let reader: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &self.servers).create()?;
        let mut found = 0;
        for partition in 0..self.partitions {
            let (low, high) = reader.fetch_watermarks(&self.name, partition, PATIENCE)?;
            found += u64::try_from(high - low)?;
        }
        ensure!(found == MESSAGES, "{} holds {found} messages", self.name);
        Ok(())
    }
}

/// The key of this number.
pub(crate) fn key(number: u64) -> String {
    format!("key-{number:05}")
}

/// Makes a topic, unless it is there.
pub(crate) async fn create(servers: &str, name: &str, partitions: i32) -> Result<()> {
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for created in admin(servers)?.create_topics([&topic], &options()).await? {
        match created {
            Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
            Err((topic, code)) => anyhow::bail!("{topic} cannot be made: {code}"),
        }
    }
    Ok(())
}

fn admin(servers: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", servers).create()?)
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE))
}
