//! Kafka as the broker of a run: `kafka://host:port`.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use steadfast::broker::Broker;
use steadfast_kafka::KafkaBroker;
use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};

use crate::broker::Topics;

const PARTITIONS: i32 = 6;
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes the topics of the run, which stay behind: Kafka is not ours to tidy up.
///
/// # Errors
/// In words without the address.
pub(crate) async fn open(address: &str, topics: &Topics) -> Result<Arc<dyn Broker>, String> {
    let servers = address.trim_start_matches("kafka://").trim_end_matches('/');
    let words = |error: &dyn std::fmt::Display| format!("--broker: Kafka cannot be used: {error}");
    if servers.is_empty() {
        return Err(words(&"the address names no server: write kafka://host:port"));
    }
    create(servers, topics).await.map_err(|error| match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::OperationTimedOut) => {
            words(&format!("nothing that it names has answered within {PATIENCE:?}"))
        }
        _ => words(&error),
    })?;
    Ok(Arc::new(KafkaBroker::new(servers)))
}

async fn create(servers: &str, topics: &Topics) -> Result<(), KafkaError> {
    let mut settings = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        settings.set("bootstrap.servers", servers).create()?;
    let made = [&topics.source, &topics.dead, &topics.unreadable]
        .map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(-1)));
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    for created in admin.create_topics(&made, &options).await? {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(KafkaError::AdminOp(code)),
        }
    }
    let deadline = Instant::now() + PATIENCE;
    while !are_known(&admin, topics)? {
        if Instant::now() > deadline {
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Whether brokers tell of them: one that is busy may be seconds behind what was confirmed.
fn are_known(
    admin: &AdminClient<DefaultClientContext>,
    topics: &Topics,
) -> Result<bool, KafkaError> {
    for name in [&topics.source, &topics.dead, &topics.unreadable] {
        let found = block_in_place(|| admin.inner().fetch_metadata(Some(name), PATIENCE))?;
        let topic = found.topics().first();
        let partitions = topic.map_or(&[][..], |topic| topic.partitions());
        if partitions.is_empty() || partitions.iter().any(|one| one.leader() < 0) {
            return Ok(false);
        }
    }
    Ok(true)
}
