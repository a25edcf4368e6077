//! The settings of the adapter, and how they become the client's.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use rdkafka::ClientConfig;
use steadfast::{
    Message,
    broker::{BrokerError, Subscription},
};

use crate::reserved;

/// What a [`KafkaBroker`](crate::KafkaBroker) was told.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) servers: String,
    pub(crate) client: Vec<(String, String)>,
    pub(crate) start: Start,
    pub(crate) protocol: GroupProtocol,
    pub(crate) static_member: Option<String>,
    pub(crate) retry_tiers: Vec<Duration>,
    pub(crate) partitioner: Partitioner,
    pub(crate) commit_interval: Duration,
    pub(crate) revoke_wait: Duration,
    pub(crate) publish_timeout: Duration,
    pub(crate) max_unsettled: usize,
    pub(crate) max_message_bytes: usize,
    /// Whether the broker has answered anything: credentials that it refuses later were good.
    pub(crate) was_let_in: Arc<AtomicBool>,
}

/// Where a group begins in a partition for which it has committed nothing, or whose committed
/// position no longer exists. Never silently at the end: that loses what was published before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Start {
    /// At the oldest message that there is.
    #[default]
    Earliest,
    /// Nowhere: the consumer ends with an error that names the partition. For groups whose positions
    /// somebody sets beforehand.
    Refuse,
}

/// How the members of a group share the partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum GroupProtocol {
    /// The classic protocol, where a rebalance takes away only the partitions that move
    /// (`cooperative-sticky`).
    #[default]
    CooperativeSticky,
    /// The classic protocol, where every rebalance takes all partitions away and hands them out again
    /// (`range`, then `roundrobin`): for a group whose other members know no better.
    Eager,
    /// The protocol of KIP-848, where the broker decides, step by step: Kafka 4.0 and later.
    Broker,
}

/// Which partition a message is published to. Producers in other languages must do the same if the
/// messages of one key shall meet in one partition.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Partitioner {
    /// Murmur2 of the key, as Java's producer does, and by chance without one.
    #[default]
    Murmur2,
    /// CRC32 of the key, as librdkafka's own default (C, Python, Go, .NET), and by chance without one.
    Consistent,
    /// FNV-1a of the key, as Sarama (Go) does by default, and by chance without one.
    Fnv1a,
    /// What this function says, from the message and the number of partitions. A number beyond them
    /// makes the publish fail.
    Explicit(ChoosePartition),
}

/// Chooses a partition from a message and the number of partitions.
pub type ChoosePartition = Arc<dyn Fn(&Message, u32) -> u32 + Send + Sync>;

impl fmt::Debug for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Murmur2 => "Murmur2",
            Self::Consistent => "Consistent",
            Self::Fnv1a => "Fnv1a",
            Self::Explicit(_) => "Explicit",
        })
    }
}

/// A fetch for one partition: the least that is worth a question, and librdkafka's own default.
const LEAST_FETCH: usize = 16 << 10;
const LARGEST_FETCH: usize = 1 << 20;

/// Fewer messages fetched ahead than this would starve a partition between two fetches.
const LEAST_MESSAGES: usize = 100;

/// The client's own `max.poll.interval.ms`.
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(300_000);

/// librdkafka's own `batch.size`.
const LARGEST_BATCH: usize = 1_000_000;

/// The deadline of a consumer for one publication is 30 s.
const LONGEST_PUBLISH: Duration = Duration::from_secs(14);

/// Room for what a record needs beside payload, key and headers: lengths and offsets.
const RECORD_OVERHEAD: usize = 48_000;

impl Config {
    pub(crate) fn new(servers: String) -> Self {
        Self {
            servers,
            client: Vec::new(),
            start: Start::default(),
            protocol: GroupProtocol::default(),
            static_member: None,
            retry_tiers: Vec::new(),
            partitioner: Partitioner::default(),
            commit_interval: Duration::from_millis(200),
            revoke_wait: Duration::from_secs(5),
            publish_timeout: Duration::from_secs(10),
            max_unsettled: 10_000,
            max_message_bytes: 1_000_000,
            was_let_in: Arc::default(),
        }
    }

    /// Refuses what would break a promise (P16).
    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        let refuse = |complaint: String| Err(BrokerError::Misconfigured(complaint));
        if let Some((name, fix)) =
            self.client.iter().find_map(|(name, _)| Some((name, reserved::fix(name)?)))
        {
            return refuse(format!("the client's setting `{name}` is not yours to set: {fix}"));
        }
        if self.max_unsettled == 0 {
            return refuse("`max_unsettled_per_partition` is 0: set at least 1".into());
        }
        if let Some(tier) = self.retry_tiers.iter().find(|tier| tier.as_millis() == 0) {
            return refuse(format!("`retry_tiers` has one of {tier:?}: set at least 1ms"));
        }
        if self.publish_timeout > LONGEST_PUBLISH {
            return refuse(format!(
                "`publish_timeout` is {:?}, and must be at most {LONGEST_PUBLISH:?}: a message waits for room and \
                 is then on its way, each so long, and after 30s a consumer publishes again what may still arrive",
                self.publish_timeout
            ));
        }
        let (interval, wait) = (self.max_poll_interval(), self.revoke_wait);
        if wait.saturating_mul(3) >= interval {
            return refuse(format!(
                "`revoke_wait` is {wait:?}, and three times that must be shorter than \
                 `max.poll.interval.ms`, which is {interval:?}: a member that gives partitions away \
                 does not poll, and would be put out of its group"
            ));
        }
        Ok(())
    }

    fn max_poll_interval(&self) -> Duration {
        let set = self.set_to("max.poll.interval.ms").and_then(|millis| millis.parse().ok());
        set.map_or(MAX_POLL_INTERVAL, Duration::from_millis)
    }

    /// Whether messages of transactions that are not committed are delivered too.
    pub(crate) fn reads_uncommitted(&self) -> bool {
        self.set_to("isolation.level") == Some("read_uncommitted")
    }

    /// What the user has set; the last one stands.
    fn set_to(&self, name: &str) -> Option<&str> {
        let mut all = self.client.iter().rev();
        all.find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The settings of every client: the servers, and what the user set.
    pub(crate) fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers).set("client.id", "steadfast");
        for (name, value) in &self.client {
            config.set(name, value);
        }
        config
    }

    /// The settings of a group's member that may be given this many partitions. What is fetched ahead
    /// is bounded as what is in flight is: by messages and by bytes.
    pub(crate) fn member(&self, subscription: &Subscription, partitions: usize) -> ClientConfig {
        let mut config = ClientConfig::new();
        // The client applies its bounds to each partition that has a queue of its own.
        let messages = subscription.max_messages / partitions.max(1);
        let bytes = subscription.max_bytes / partitions.max(1);
        config
            .set("queued.min.messages", messages.clamp(LEAST_MESSAGES, 100_000).to_string())
            .set("queued.max.messages.kbytes", (bytes / 1000).clamp(1, 2_097_151).to_string())
            .set("fetch.message.max.bytes", bytes.clamp(LEAST_FETCH, LARGEST_FETCH).to_string())
            // How long a queue that was full is left alone.
            .set("fetch.queue.backoff.ms", "20")
            .set("socket.timeout.ms", "10000");
        for (name, value) in self.base().config_map() {
            config.set(name, value);
        }
        config
            .set("group.id", &subscription.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Where to begin is decided at each assignment; a lost position is an error, never a jump.
            .set("auto.offset.reset", "error")
            // So that a position passes what holds nothing at the end.
            .set("enable.partition.eof", "true")
            .set("statistics.interval.ms", "1000");
        match self.protocol {
            GroupProtocol::CooperativeSticky => {
                config.set("partition.assignment.strategy", "cooperative-sticky")
            }
            GroupProtocol::Eager => config.set("partition.assignment.strategy", "range,roundrobin"),
            GroupProtocol::Broker => config.set("group.protocol", "consumer"),
        };
        if let Some(name) = &self.static_member {
            config.set("group.instance.id", name);
        }
        config
    }

    /// The settings of a producer: what it confirms is on all replicas in sync, once, in order.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        // Each is waited for; those that are sent at the same time still travel together, in batches that a topic
        // takes which takes the largest of them.
        config.set("linger.ms", "0");
        let batch = self.max_message_bytes.clamp(1, LARGEST_BATCH);
        config.set("batch.size", batch.to_string());
        for (name, value) in self.base().config_map() {
            config.set(name, value);
        }
        let timeout = self.publish_timeout.as_millis().max(1);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", timeout.to_string())
            .set("topic.metadata.propagation.max.ms", (timeout / 2).to_string())
            .set("message.max.bytes", (self.max_message_bytes + RECORD_OVERHEAD).to_string());
        match self.partitioner {
            Partitioner::Consistent => config.set("partitioner", "consistent_random"),
            Partitioner::Fnv1a => config.set("partitioner", "fnv1a_random"),
            Partitioner::Murmur2 | Partitioner::Explicit(_) => {
                config.set("partitioner", "murmur2_random")
            }
        };
        config
    }
}

/// Values of the client's settings may be secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.client.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Config")
            .field("servers", &self.servers)
            .field("client", &names)
            .field("protocol", &self.protocol)
            .field("retry_tiers", &self.retry_tiers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str) -> Config {
        let mut config = Config::new("localhost".into());
        config.client.push((name.into(), "s3cret".into()));
        config
    }

    #[test]
    fn what_would_lose_messages_cannot_be_set() {
        for name in [
            "enable.auto.commit",
            "auto.commit.enable",
            "enable.auto.offset.store",
            "auto.offset.reset",
            "acks",
            "request.required.acks",
            "enable.idempotence",
            "group.id",
        ] {
            let refused = with(name).check().expect_err(name).to_string();
            assert!(refused.contains(name) && !refused.contains("s3cret"), "{refused}");
        }
        with("sasl.password").check().expect("it is the user's");
    }

    #[test]
    fn a_member_never_commits_by_itself_and_never_begins_at_the_end() {
        let billing = Subscription::new("orders", "billing");
        let member = Config::new("localhost".into()).member(&billing, 1);
        for (name, value) in [
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
        ] {
            assert_eq!(member.get(name), Some(value));
        }
    }

    #[test]
    fn all_partitions_together_fetch_no_more_ahead_than_may_be_in_flight() {
        let billing = Subscription::new("orders", "billing").max_messages(8000).max_bytes(64 << 20);
        let bound = |partitions: usize| {
            let member = Config::new("localhost".into()).member(&billing, partitions);
            let number = |name| member.get(name).expect(name).parse::<usize>().expect("a number");
            let kbytes = number("queued.max.messages.kbytes");
            (partitions * number("queued.min.messages"), partitions * kbytes * 1000)
        };
        for partitions in [1, 12, 36, 80] {
            let (messages, bytes) = bound(partitions);
            assert!(messages <= 8000 && bytes <= 64 << 20, "{partitions}: {messages}, {bytes}");
            assert!(bytes > 63 << 20, "{partitions}: {bytes}");
        }
    }

    #[test]
    fn a_revocation_that_outlasts_the_poll_interval_is_refused() {
        let mut config = Config::new("localhost".into());
        config.revoke_wait = Duration::from_secs(2);
        config.check().expect("far from five minutes");
        config.client.push(("max.poll.interval.ms".into(), "6000".into()));
        let refused = config.check().expect_err("just as long").to_string();
        assert!(refused.contains("revoke_wait") && refused.contains("6s"), "{refused}");
        config.client.push(("max.poll.interval.ms".into(), "6001".into()));
        config.check().expect("the last one stands");
    }

    #[test]
    fn debug_shows_no_values() {
        let shown = format!("{:?}", with("sasl.password"));
        assert!(shown.contains("sasl.password") && !shown.contains("s3cret"), "{shown}");
    }
}
