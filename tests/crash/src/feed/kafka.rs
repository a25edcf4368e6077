//! Kafka: a topic and a group for each round.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};
use steadfast::broker::Broker;
use steadfast_kafka::KafkaBroker;

use crate::Plan;

/// More than there are workers, so that each gets some, and loses some when others come.
const PARTITIONS: i32 = 6;

pub(super) async fn load(plan: &Plan) -> Result<()> {
    let admin = admin(plan)?;
    let (source, dead) = (plan.topic(), plan.dead_letters());
    let topics = [(&source, PARTITIONS), (&dead, 1)];
    let topics = topics.map(|(name, count)| NewTopic::new(name, count, TopicReplication::Fixed(1)));
    for created in admin.create_topics(&topics, &AdminOptions::new()).await? {
        created.map_err(|(name, code)| anyhow!("{name}: {code}"))?;
    }
    let publisher = open(plan).publisher().await?;
    for number in 0..plan.messages {
        let published = publisher.publish(&source, &plan.message(number)).await;
        published.with_context(|| format!("message {number}"))?;
    }
    Ok(())
}

pub(super) async fn unload(plan: &Plan) -> Result<()> {
    let (source, dead) = (plan.topic(), plan.dead_letters());
    let topics = [source.as_str(), dead.as_str()];
    for deleted in admin(plan)?.delete_topics(&topics, &AdminOptions::new()).await? {
        deleted.map_err(|(name, code)| anyhow!("{name}: {code}"))?;
    }
    Ok(())
}

fn admin(plan: &Plan) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", servers(plan)).create()?)
}

/// Members that are missed soon when they are killed, and that fetch little ahead, so that a round is not
/// in their memory before the first blow.
pub(super) fn open(plan: &Plan) -> Arc<dyn Broker> {
    let broker = KafkaBroker::new(servers(plan))
        .set("session.timeout.ms", "1500")
        .set("heartbeat.interval.ms", "200")
        .set("queued.min.messages", "1")
        .set("fetch.message.max.bytes", "1000")
        .commit_interval(Duration::from_millis(20))
        .revoke_wait(Duration::from_secs(1));
    Arc::new(broker)
}

fn servers(plan: &Plan) -> &str {
    plan.broker.trim_start_matches("kafka://")
}
