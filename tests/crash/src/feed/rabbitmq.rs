//! RabbitMQ: queues for each round.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lapin::{Connection, ConnectionProperties, options::QueueDeleteOptions};
use steadfast::broker::Broker;
use steadfast_rabbitmq::{Queue, RabbitMq};

use crate::Plan;

pub(super) async fn load(plan: &Plan) -> Result<()> {
    let publisher =
        broker(plan)?.declare(source(plan)).declare(dead_letters(plan)).publisher().await?;
    let topic = plan.topic();
    // In their order, where it matters.
    let at_once = if plan.ordered { 1 } else { 32 };
    let publishing =
        stream::iter(0..plan.messages).map(Ok).try_for_each_concurrent(at_once, |number| {
            let (publisher, topic) = (&publisher, &topic);
            async move {
                let published = publisher.publish(topic, &plan.message(number)).await;
                published.with_context(|| format!("message {number}"))
            }
        });
    publishing.await
}

pub(super) async fn unload(plan: &Plan) -> Result<()> {
    let connection = Connection::connect(&plan.broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let (topic, dead) = (plan.topic(), plan.dead_letters());
    let waiting = [&topic, &dead].map(|source| format!("{source}.steadfast.wait.1s"));
    for queue in waiting.iter().chain([&topic, &dead]) {
        // One that is not there is deleted too.
        channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
    }
    Ok(connection.close(200, "closed".into()).await?)
}

/// Members that are missed soon when they are stopped: after two heartbeats.
pub(super) fn open(plan: &Plan) -> Result<Arc<dyn Broker>> {
    Ok(Arc::new(broker(plan)?.heartbeat(Duration::from_secs(1))))
}

pub(super) fn look(plan: &Plan) -> Result<Arc<dyn Broker>> {
    Ok(Arc::new(broker(plan)?))
}

fn broker(plan: &Plan) -> Result<RabbitMq> {
    let broker = RabbitMq::new(&plan.broker)?.publishers_set_ids();
    Ok(broker.deadline(Duration::from_secs(5)).waits([Duration::from_secs(1)])?)
}

fn source(plan: &Plan) -> Queue {
    let queue = queue(plan, plan.topic());
    if plan.ordered { queue.single_active_consumer() } else { queue }
}

fn dead_letters(plan: &Plan) -> Queue {
    queue(plan, plan.dead_letters())
}

fn queue(plan: &Plan, name: String) -> Queue {
    // Other bits of the seed say the mode and the order: each meets both types.
    match (plan.seed & 0b111).count_ones() % 2 {
        0 => Queue::quorum(name),
        _ => Queue::classic(name),
    }
}
