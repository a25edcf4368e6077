//! Whether a topic is there, and what it is made of.
//!
//! Each question has a client of its own: a producer that asked would create the topic, and a client that
//! is kept and polled by nobody keeps its log in memory.

use std::{sync::atomic::Ordering, time::Duration};

use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
};
use steadfast::broker::BrokerError;

use crate::{
    client_log::Logged,
    config::Config,
    error::{is_of_coordinator, of_session, of_session_again},
};

/// Longest time for one question.
const LOOK: Duration = Duration::from_secs(10);

/// How many partitions a topic has.
pub(crate) async fn partitions(config: &Config, topic: &str) -> Result<u32, BrokerError> {
    let (config, topic) = (config.clone(), topic.to_owned());
    let looking = tokio::task::spawn_blocking(move || look(&config, &topic));
    looking.await.map_err(BrokerError::unavailable)?
}

/// Whether the coordinator of a group answers within this time. A member could not ask: its question would wait
/// behind its own request to join, which is answered when all have come.
pub(crate) fn coordinator(
    config: &Config,
    group: &str,
    topic: &str,
    limit: Duration,
) -> Result<(), BrokerError> {
    let mut settings = config.base();
    settings.set("group.id", group);
    let client: BaseConsumer<Logged> = config.create(&settings, Logged)?;
    let mut one = TopicPartitionList::new();
    one.add_partition(topic, 0);
    match client.committed_offsets(one, limit) {
        Err(error) if is_of_coordinator(&error) => Err(BrokerError::unavailable(format!(
            "the coordinator of the group `{group}` is away: {error}"
        ))),
        // Whatever it says, it is there.
        _ => Ok(()),
    }
}

/// A broker may be the last to hear of a new topic, so it is asked again before the answer is no.
fn look(config: &Config, topic: &str) -> Result<u32, BrokerError> {
    const NEWS: Duration = Duration::from_millis(200);
    const QUESTIONS: u32 = 8;
    let mut settings = config.base();
    settings.set("allow.auto.create.topics", "false");
    let client = config.create(&settings, Logged)?;
    for question in 0..QUESTIONS {
        if question > 0 {
            std::thread::sleep(NEWS);
        }
        let was_let_in = config.was_let_in.load(Ordering::Relaxed);
        let meaning = if was_let_in { of_session_again } else { of_session };
        let found = ask(&client, topic, meaning)?;
        config.was_let_in.store(true, Ordering::Relaxed);
        if let Some(partitions) = found {
            return Ok(partitions);
        }
    }
    Err(BrokerError::Misconfigured(format!("there is no topic `{topic}`: create it")))
}

/// `None` when there is no such topic.
fn ask(
    client: &BaseConsumer<Logged>,
    topic: &str,
    meaning: fn(KafkaError) -> BrokerError,
) -> Result<Option<u32>, BrokerError> {
    let asked = client.fetch_metadata(Some(topic), LOOK);
    let metadata = asked.map_err(|error| meaning(why(client).unwrap_or(error)))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let code = found.and_then(|found| found.error()).map(Code::from);
    match (found, code) {
        (Some(found), None) if !found.partitions().is_empty() => {
            Ok(Some(u32::try_from(found.partitions().len()).unwrap_or(u32::MAX)))
        }
        (None, _) | (_, Some(Code::UnknownTopicOrPartition | Code::UnknownTopic)) => Ok(None),
        (_, Some(Code::TopicAuthorizationFailed)) => Err(BrokerError::Misconfigured(format!(
            "this client may not see the topic `{topic}`: grant it Describe, and Read or Write"
        ))),
        (_, Some(Code::InvalidTopic)) => Err(BrokerError::Misconfigured(format!(
            "`{topic}` cannot be the name of a topic: letters, digits, `.`, `_` and `-`, at most 249"
        ))),
        (_, code) => Err(BrokerError::unavailable(format!(
            "the topic `{topic}` has no leader yet: {code:?}"
        ))),
    }
}

/// Why there was no answer, as the client has noticed meanwhile: refused credentials, most often. The
/// call itself says only that time is up.
fn why(client: &BaseConsumer<Logged>) -> Option<KafkaError> {
    let told = std::iter::from_fn(|| client.poll(Duration::ZERO));
    told.filter_map(Result::err).find(crate::error::is_permanent)
}
