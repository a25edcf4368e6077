//! Queues, checked and declared.

use std::time::Duration;

use lapin::{
    Channel,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable, ShortString},
};
use steadfast::broker::BrokerError;

use crate::{
    config::Config,
    connect::{Link, within},
    error::{ACCESS_REFUSED, PRECONDITION_FAILED, at_setup, reply},
    version::Version,
    waiting,
};

/// Declares what the configuration asks for.
pub(crate) async fn declare_all(
    link: &Link,
    config: &Config,
    version: Version,
) -> Result<(), BrokerError> {
    for queue in &config.queues {
        let mut arguments = queue.arguments.clone();
        let unlimited = unlimited(&arguments);
        if unlimited && version < Version::new(4, 0) {
            arguments = without_limit(&arguments);
        }
        let declared = declare(link, &queue.name, arguments.clone(), config.deadline).await;
        match declared {
            // It was declared under 3.x, where no limit is the default. Whether it has one now is
            // looked at where it is consumed.
            Err(Refused::Limit(_)) if unlimited => {
                let arguments = without_limit(&arguments);
                declare(link, &queue.name, arguments, config.deadline).await?;
            }
            other => other?,
        }
    }
    Ok(())
}

/// Declares the waiting queues of a source.
pub(crate) async fn declare_waiting(
    link: &Link,
    config: &Config,
    source: &str,
) -> Result<(), BrokerError> {
    for tier in config.waits.iter() {
        let name = waiting::name(source, tier);
        if name.len() > 255 {
            return Err(BrokerError::Misconfigured(format!(
                "the name of queue `{source}` leaves no room for that of its waiting queues: \
                 {} bytes, and AMQP has 255",
                name.len()
            )));
        }
        let arguments = waiting::arguments(source, tier);
        match declare(link, &name, arguments.clone(), config.deadline).await {
            Err(Refused::Forbidden(error)) => {
                look_for_waiting(link, config, &name, &arguments).await?;
                tracing::warn!(%error, "the waiting queue is there; how it was declared is not known");
            }
            declared => declared?,
        }
    }
    Ok(())
}

/// Where this user may not declare a waiting queue, somebody else must have done it.
async fn look_for_waiting(
    link: &Link,
    config: &Config,
    queue: &str,
    arguments: &FieldTable,
) -> Result<(), BrokerError> {
    match look(&link.channel().await?, queue, config.deadline).await {
        Ok(_) => Ok(()),
        Err(BrokerError::Misconfigured(words)) => Err(BrokerError::Misconfigured(format!(
            "{words}; this user may not declare it. Grant the right to configure it, or declare it, \
             durable, with {}; or do without waiting queues: `RabbitMq::waits([])`",
            waiting::shown(arguments)
        ))),
        Err(error) => Err(error),
    }
}

/// Looks whether a queue is there; how many messages are ready in it.
pub(crate) async fn look(
    channel: &Channel,
    queue: &str,
    deadline: Duration,
) -> Result<u32, BrokerError> {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    let doing = format!("looking for queue `{queue}`");
    let name = ShortString::try_new(queue).map_err(|_| too_long(queue))?;
    let looking = channel.queue_declare(name, options, FieldTable::default());
    let found = within(deadline, &doing, looking).await?;
    Ok(found.map_err(|error| at_setup(error, &doing))?.message_count())
}

/// Why a declaration failed.
enum Refused {
    /// The queue has another delivery limit.
    Limit(BrokerError),
    /// This user may not declare it.
    Forbidden(BrokerError),
    Other(BrokerError),
}

impl From<Refused> for BrokerError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Limit(error) | Refused::Forbidden(error) | Refused::Other(error) => error,
        }
    }
}

async fn declare(
    link: &Link,
    queue: &str,
    arguments: FieldTable,
    deadline: Duration,
) -> Result<(), Refused> {
    let doing = format!("declaring queue `{queue}`");
    // A refusal closes the channel.
    let channel = link.channel().await.map_err(Refused::Other)?;
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let name = ShortString::try_new(queue).map_err(|_| Refused::Other(too_long(queue)))?;
    let declaring = channel.queue_declare(name, options, arguments);
    let declared = within(deadline, &doing, declaring).await.map_err(Refused::Other)?;
    let Err(error) = declared else { return Ok(()) };
    let refused = match reply(&error) {
        Some((ACCESS_REFUSED, _)) => Refused::Forbidden,
        Some((PRECONDITION_FAILED, text))
            if text.contains("inequivalent arg 'x-delivery-limit'") =>
        {
            Refused::Limit
        }
        _ => Refused::Other,
    };
    Err(refused(at_setup(error, &doing)))
}

fn too_long(queue: &str) -> BrokerError {
    BrokerError::Misconfigured(format!(
        "`{queue}` is {} bytes long, and the name of a queue has at most 255",
        queue.len()
    ))
}

const LIMIT: &str = "x-delivery-limit";

fn unlimited(arguments: &FieldTable) -> bool {
    arguments.inner().get(LIMIT) == Some(&AMQPValue::LongInt(-1))
}

fn without_limit(arguments: &FieldTable) -> FieldTable {
    let mut others = FieldTable::default();
    for (name, value) in arguments.inner().iter().filter(|(name, _)| name.as_str() != LIMIT) {
        others.insert(name.clone(), value.clone());
    }
    others
}
