//! Kafka: a topic and a group for each round.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
};
use steadfast::broker::Broker;
use steadfast_kafka::KafkaBroker;

use crate::{Plan, round::PATIENCE};

/// More than there are workers, so that each gets some, and loses some when others come.
const PARTITIONS: i32 = 6;

/// A rebalance that was not seen by then has been: a member that was killed is missed after 1.5 s.
const UNSEEN: Duration = Duration::from_secs(10);

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
    let admin = admin(plan)?;
    let known = admin.inner().fetch_metadata(None, PATIENCE)?;
    // Source, dead letters, and what waits.
    let of_round = |name: &&str| name.starts_with(&plan.topic());
    let topics: Vec<_> = known.topics().iter().map(|topic| topic.name()).filter(of_round).collect();
    for deleted in admin.delete_topics(&topics, &AdminOptions::new()).await? {
        deleted.map_err(|(name, code)| anyhow!("{name}: {code}"))?;
    }
    Ok(())
}

/// As the coordinator sees it: from the first member that joins or goes until all have joined again.
pub(super) fn waits_for_rebalance(plan: &Plan) -> Result<bool> {
    let asks: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", servers(plan)).create()?;
    let (group, deadline) = (plan.group(), Instant::now() + UNSEEN);
    while Instant::now() < deadline {
        let found = asks.fetch_group_list(Some(&group), PATIENCE)?;
        if found.groups().iter().any(|group| group.state().ends_with("Rebalance")) {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(false)
}

fn admin(plan: &Plan) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", servers(plan)).create()?)
}

/// Members that are missed soon when they are killed, and that fetch little ahead, so that a round is not
/// in their memory before the first blow.
pub(super) fn open(plan: &Plan) -> Arc<dyn Broker> {
    // What is kept in order never leaves.
    let tiers = plan.retries_leave() && !plan.ordered;
    let tiers = if tiers { vec![Duration::from_secs(1)] } else { Vec::new() };
    let broker = KafkaBroker::new(servers(plan))
        .set("session.timeout.ms", "1500")
        .set("heartbeat.interval.ms", "200")
        .set("queued.min.messages", "1")
        .set("fetch.message.max.bytes", "1000")
        .commit_interval(Duration::from_millis(20))
        .revoke_wait(Duration::from_secs(1))
        .retry_tiers(tiers);
    Arc::new(broker)
}

fn servers(plan: &Plan) -> &str {
    plan.broker.trim_start_matches("kafka://")
}
