//! Creates the topics of retry tiers, and refuses those that would lose what waits or let it go early.

use std::time::Duration;

use rdkafka::{
    admin::{
        AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier,
        ResourceSpecifier, TopicReplication,
    },
    error::RDKafkaErrorCode as Code,
};
use steadfast::broker::BrokerError;

use crate::{client_log::Logged, config::Config, error::of_session, look, retry_topics::Tier};

type Admin = AdminClient<Logged>;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a message is kept beyond its wait, while nobody consumes. By then the group has forgotten its
/// positions (`offsets.retention.minutes`, seven days) and would begin with all that is kept.
const KEPT: Duration = DAY.saturating_mul(14);

/// The least that a topic made by hand must keep beyond the wait.
const LEAST_KEPT: Duration = DAY;

/// Sees to it that each tier has a topic that is fit for it.
pub(crate) async fn provide(
    config: &Config,
    partitions: u32,
    tiers: &[Tier],
) -> Result<(), BrokerError> {
    let admin: Admin = config.create(&config.base(), Logged)?;
    let missing = look_at(&admin, tiers).await?;
    if !missing.is_empty() {
        create(&admin, partitions, &missing).await?;
    }
    // Created, and perhaps not yet known to all brokers: that passes.
    for tier in missing {
        look::partitions(config, &tier.topic).await.map_err(BrokerError::unavailable)?;
    }
    Ok(())
}

/// Which are missing, or may not be looked at: the client tells of neither, and of no setting. One
/// question for all.
async fn look_at<'a>(admin: &Admin, tiers: &'a [Tier]) -> Result<Vec<&'a Tier>, BrokerError> {
    let topics: Vec<_> = tiers.iter().map(|tier| ResourceSpecifier::Topic(&tier.topic)).collect();
    let described = admin.describe_configs(&topics, &options()).await.map_err(of_session)?;
    let mut unseen = Vec::new();
    for tier in tiers {
        let name = OwnedResourceSpecifier::Topic(tier.topic.clone());
        let mut found = described.iter().flatten();
        match found.find(|topic| topic.specifier == name && !topic.entries.is_empty()) {
            Some(topic) => judge(tier, topic)?,
            None => unseen.push(tier),
        }
    }
    Ok(unseen)
}

/// Refuses a topic in which a message could be lost while it waits, or be due by a producer's clock.
fn judge(tier: &Tier, topic: &ConfigResource) -> Result<(), BrokerError> {
    let value = |name| topic.get(name).and_then(|entry| entry.value.as_deref());
    let number = |name| value(name).and_then(|value| value.parse::<i64>().ok()).unwrap_or(-1);
    let least = millis(tier.delay + LEAST_KEPT);
    let (kept, kept_bytes) = (number("retention.ms"), number("retention.bytes"));
    let complaint = if value("message.timestamp.type").is_some_and(|kind| kind != "LogAppendTime") {
        "its messages carry the time of their producer: set message.timestamp.type=LogAppendTime"
            .to_owned()
    } else if value("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        "it is compacted, and would lose all but the last message of a key: set \
         cleanup.policy=delete"
            .to_owned()
    } else if (0..least).contains(&kept) {
        format!("it keeps a message for {kept} ms: set retention.ms to at least {least}, or to -1")
    } else if kept_bytes >= 0 {
        format!("it keeps no more than {kept_bytes} bytes: set retention.bytes=-1")
    } else {
        return Ok(());
    };
    let name = &tier.topic;
    Err(BrokerError::Misconfigured(format!(
        "the retry topic `{name}` is not fit for it: {complaint}"
    )))
}

async fn create(admin: &Admin, partitions: u32, missing: &[&Tier]) -> Result<(), BrokerError> {
    let count = i32::try_from(partitions).unwrap_or(i32::MAX);
    let kept: Vec<String> =
        missing.iter().map(|tier| millis(tier.delay + KEPT).to_string()).collect();
    let topics = missing.iter().zip(&kept).map(|(tier, kept)| {
        NewTopic::new(&tier.topic, count, TopicReplication::Fixed(-1))
            .set("message.timestamp.type", "LogAppendTime")
            .set("cleanup.policy", "delete")
            .set("retention.ms", kept)
            .set("retention.bytes", "-1")
    });
    let topics: Vec<NewTopic<'_>> = topics.collect();
    for created in admin.create_topics(&topics, &options()).await.map_err(of_session)? {
        match created {
            Ok(topic) => tracing::info!(topic, partitions, "created a retry topic"),
            // Another member was faster, or it is only hidden.
            Err((topic, Code::TopicAlreadyExists)) => tracing::warn!(
                topic,
                "cannot see how the retry topic is set: unless it is new, grant DescribeConfigs on it"
            ),
            Err((topic, code)) => {
                let words = format!(
                    "the retry topic `{topic}` is missing and cannot be created ({code}): create it \
                     with {partitions} partitions, message.timestamp.type=LogAppendTime, \
                     cleanup.policy=delete, retention.bytes=-1 and a long retention.ms"
                );
                return Err(match code {
                    Code::TopicAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::PolicyViolation
                    | Code::UnsupportedVersion
                    | Code::InvalidTopic
                    | Code::InvalidConfig => BrokerError::Misconfigured(words),
                    // As while brokers come up one after the other.
                    _ => BrokerError::unavailable(words),
                });
            }
        }
    }
    Ok(())
}

fn options() -> AdminOptions {
    let limit = Some(Duration::from_secs(10));
    AdminOptions::new().request_timeout(limit).operation_timeout(limit)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
