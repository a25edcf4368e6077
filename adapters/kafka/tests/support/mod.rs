//! A real Kafka, as the suite reaches it.

#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod admin;
pub(crate) mod session;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use steadfast::{
    Message,
    broker::{Broker, BrokerError, Publish, PublishError, Source, Subscription},
};
use steadfast_conformance::broker::BrokerHarness;
use steadfast_kafka::{GroupProtocol, KafkaBroker};
use steadfast_test_servers::{Kafka, Proxy};
use tokio::sync::OnceCell;

/// A Kafka, as the suite reaches it.
pub(crate) struct KafkaHarness {
    servers: String,
    broker: Apart,
    publisher: OnceCell<Arc<dyn Publish>>,
    proxy: Option<Proxy>,
}

/// Members of the classic protocol that hear of others soon, and are not missed on a busy machine. One that
/// is dropped leaves its group.
pub(crate) fn classic(servers: &str) -> KafkaBroker {
    quick(servers).set("heartbeat.interval.ms", "200").set("session.timeout.ms", "12000")
}

pub(crate) fn quick(servers: &str) -> KafkaBroker {
    KafkaBroker::new(servers).commit_interval(Duration::from_millis(50))
}

impl KafkaHarness {
    pub(crate) fn new(settings: impl FnOnce(KafkaBroker) -> KafkaBroker) -> Self {
        let servers = steadfast_test_servers::kafka();
        Self::on(settings(classic(&servers)), servers)
    }

    /// With KIP-848 the broker knows how often a member is to be heard of.
    pub(crate) fn kip_848() -> Self {
        let servers = steadfast_test_servers::kafka();
        Self::on(quick(&servers).group_protocol(GroupProtocol::Broker), servers)
    }

    /// Behind a proxy that can cut what passes through it. One at a time.
    pub(crate) async fn behind_a_proxy(server: &Kafka) -> Self {
        let (front, behind) = server.behind_a_proxy().expect("ports");
        let proxy = Proxy::listen(front, behind).await.expect("the proxy's port is free");
        let broker = classic(&front.to_string()).set("reconnect.backoff.max.ms", "500");
        Self { proxy: Some(proxy), ..Self::on(broker, server.url().to_owned()) }
    }

    fn on(broker: KafkaBroker, servers: String) -> Self {
        let broker = Apart { broker, groups: unique("") };
        Self { servers, broker, publisher: OnceCell::new(), proxy: None }
    }
}

#[async_trait]
impl BrokerHarness for KafkaHarness {
    fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(self.broker.clone())
    }

    async fn fresh_topic(&self, hint: &str, _ordered: bool) -> String {
        let name = unique(hint);
        admin::create_topic(&self.servers, &name, 3).await;
        name
    }

    async fn publish(&self, topic: &str, message: Message) -> Result<(), PublishError> {
        let make = async || self.broker.publisher().await;
        let publisher = self.publisher.get_or_try_init(make).await;
        let publisher = publisher.map_err(|error| PublishError::Unavailable(error.into()))?;
        publisher.publish(topic, &message).await
    }

    fn delay(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn supports_groups(&self) -> bool {
        true
    }

    async fn read_all(&self, topic: &str) -> Option<Vec<Message>> {
        let (servers, topic) = (self.servers.clone(), topic.to_owned());
        let reading = tokio::task::spawn_blocking(move || admin::read_all(&servers, &topic));
        Some(reading.await.expect("it does not panic"))
    }

    async fn missing_topic(&self) -> Option<String> {
        Some("no-such-topic".into())
    }

    /// It is missing. It is empty when it is there again.
    async fn refuse_publishes(&self, topic: &str, refuse: bool) -> bool {
        match refuse {
            true => admin::delete_topic(&self.servers, topic).await,
            false => admin::create_topic(&self.servers, topic, 3).await,
        }
        true
    }

    async fn disconnect(&self) -> bool {
        self.proxy.as_ref().map(Proxy::cut).is_some()
    }

    async fn take_down(&self, down: bool) -> bool {
        let switch = if down { Proxy::refuse } else { Proxy::pass };
        self.proxy.as_ref().map(switch).is_some()
    }
}

/// Gives each harness groups of its own: members of one group rebalance together, whatever topics
/// they read.
#[derive(Clone)]
struct Apart {
    broker: KafkaBroker,
    groups: String,
}

#[async_trait]
impl Broker for Apart {
    fn system(&self) -> &'static str {
        self.broker.system()
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        let mut apart = subscription.clone();
        apart.group.push_str(&self.groups);
        self.broker.subscribe(&apart).await
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        self.broker.publisher().await
    }
}

/// A name that no other test has.
pub(crate) fn unique(hint: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{hint}-{}-{number}-{}", std::process::id(), now.as_millis())
}
