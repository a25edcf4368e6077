//! The broker itself: settings, sessions, publishers.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use steadfast::broker::{Broker, BrokerError, Publish, Source, Subscription};

use crate::{
    config::{Config, GroupProtocol, Partitioner, Start},
    lag::{Lag, PartitionLag},
    look,
    positions::LostPositions,
    publish::KafkaPublisher,
    retry_topics::Tier,
    source::KafkaSource,
    tier_topics,
};

/// Apache Kafka. Clones share everything.
///
/// ```
/// use std::time::Duration;
/// use steadfast_kafka::KafkaBroker;
///
/// let broker = KafkaBroker::new("localhost:9092")
///     .set("security.protocol", "plaintext")
///     .retry_tiers([Duration::from_secs(30), Duration::from_secs(600)]);
/// ```
#[derive(Debug, Clone)]
pub struct KafkaBroker {
    config: Config,
    lag: Lag,
    lost_positions: LostPositions,
}

impl KafkaBroker {
    /// A broker that is reached through these servers: `host:port`, separated by commas. Nothing is
    /// connected, and nothing refused, before a consumer runs.
    pub fn new(servers: impl Into<String>) -> Self {
        Self {
            config: Config::new(servers.into()),
            lag: Lag::default(),
            lost_positions: LostPositions::default(),
        }
    }

    /// Sets a property of the client, as librdkafka's `CONFIGURATION.md` names it: security,
    /// timeouts, fetching. Those that a promise hangs on are refused when the consumer starts, with
    /// the setting to use instead.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.client.push((name.into(), value.into()));
        // They may be other credentials.
        self.config.was_let_in = Arc::default();
        self
    }

    /// Where a group begins that has committed nothing. [`Start::Earliest`] without this setting.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.config.start = start;
        self
    }

    /// How members share the partitions. [`GroupProtocol::CooperativeSticky`] without this setting.
    #[must_use]
    pub fn group_protocol(mut self, protocol: GroupProtocol) -> Self {
        self.config.protocol = protocol;
        self
    }

    /// Makes this process a static member of its groups (`group.instance.id`): a restart within the
    /// session timeout moves no partition. Each running member needs a name of its own.
    #[must_use]
    pub fn static_member(mut self, name: impl Into<String>) -> Self {
        self.config.static_member = Some(name.into());
        self
    }

    /// Lets unordered consumers wait for long retries in topics of the group's own, one for each of
    /// these lengths: `<source>.<group>.retry.<length>`. They are created where they are missing. A
    /// wait between two lengths takes the longer one: it may be late, and is never early. One that is longer
    /// than all of them is kept in place; where the consumer stops meanwhile, the message waits for the
    /// longest tier, and a store, if there is one, keeps it back for the rest.
    ///
    /// Without this setting every wait is kept in place, the message unsettled.
    #[must_use]
    pub fn retry_tiers(mut self, tiers: impl IntoIterator<Item = Duration>) -> Self {
        self.config.retry_tiers = tiers.into_iter().collect();
        self.config.retry_tiers.sort();
        self.config.retry_tiers.dedup();
        self
    }

    /// Which partition a message is published to. [`Partitioner::Murmur2`] without this setting, as
    /// Java's producer.
    #[must_use]
    pub fn partitioner(mut self, partitioner: Partitioner) -> Self {
        self.config.partitioner = partitioner;
        self
    }

    /// How often offsets are committed while something is settled. 200 ms without this setting; a
    /// shorter one means fewer repeats after a crash and more work for the broker.
    #[must_use]
    pub fn commit_interval(mut self, interval: Duration) -> Self {
        self.config.commit_interval = interval;
        self
    }

    /// How long a partition that moves to another member waits for what is in flight of it to end, and
    /// as long again for what is then cancelled. 5 seconds without this setting. Three times this must stay
    /// well below `max.poll.interval.ms`.
    #[must_use]
    pub fn revoke_wait(mut self, wait: Duration) -> Self {
        self.config.revoke_wait = wait;
        self
    }

    /// How long publishing a dead letter or a copy may take. At most 14 seconds; 10
    /// without this setting.
    #[must_use]
    pub fn publish_timeout(mut self, timeout: Duration) -> Self {
        self.config.publish_timeout = timeout;
        self
    }

    /// How many messages of one partition may lie between its oldest unsettled message and the newest
    /// received one: so many come again after a crash, at most, beside what was settled since the last
    /// commit. Beyond it, this partition is received from no more until the oldest is settled; the others go
    /// on. 10,000 without this setting.
    #[must_use]
    pub fn max_unsettled_per_partition(mut self, messages: usize) -> Self {
        self.config.max_unsettled = messages;
        self
    }

    /// The largest message, of payload, key and headers, that is published. 1,000,000 bytes without
    /// this setting, which fits a topic whose `max.message.bytes` is Kafka's default.
    #[must_use]
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.config.max_message_bytes = bytes;
        self
    }

    /// How far each partition that is assigned to this process is behind, as of the last second; its end, as
    /// of the last fetch from it.
    pub fn lag(&self) -> Vec<PartitionLag> {
        self.lag.read()
    }

    async fn make_publisher(&self) -> Result<KafkaPublisher, BrokerError> {
        self.config.check()?;
        KafkaPublisher::new(self.config.clone())
    }
}

#[async_trait]
impl Broker for KafkaBroker {
    fn system(&self) -> &'static str {
        "kafka"
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        self.config.check()?;
        let tiers = match subscription.ordered {
            true => Vec::new(),
            false => Tier::all(subscription, &self.config.retry_tiers)?,
        };
        let partitions = look::partitions(&self.config, &subscription.source).await?;
        let copies = match tiers.is_empty() {
            true => None,
            false => {
                tier_topics::provide(&self.config, partitions, &tiers).await?;
                Some(self.make_publisher().await?)
            }
        };
        let known = (self.lost_positions.clone(), self.lag.clone());
        let ways = (tiers, copies);
        let source = KafkaSource::open(&self.config, subscription, partitions, ways, known).await?;
        Ok(Arc::new(source))
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        Ok(Arc::new(self.make_publisher().await?))
    }
}
