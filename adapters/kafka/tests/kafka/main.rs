//! What only Kafka does, and what goes wrong there, on a real one.

#[path = "../support/mod.rs"]
mod support;

mod content;
mod members;
mod outages;
mod partitions;
mod permissions;
mod positions;
mod tiers;
mod transactions;

use steadfast::{Message, broker::Broker as _};
use steadfast_kafka::KafkaBroker;

use support::{admin, unique};

/// A topic of so many partitions, which no other test uses.
async fn fresh_topic(hint: &str, partitions: i32) -> (String, String) {
    let servers = steadfast_test_servers::kafka();
    let topic = unique(hint);
    admin::create_topic(&servers, &topic, partitions).await;
    (servers, topic)
}

async fn publish(broker: &KafkaBroker, topic: &str, texts: &[&str]) {
    let publisher = broker.publisher().await.expect("a publisher");
    for text in texts {
        let message = Message::new(text.as_bytes().to_vec()).with_key(text.as_bytes().to_vec());
        publisher.publish(topic, &message).await.expect("it is published");
    }
}
