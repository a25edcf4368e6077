//! RabbitMQ as the broker of a run: `amqp://user:password@host:port/virtual-host`.

use std::{sync::Arc, time::Duration};

use steadfast::broker::{Broker, BrokerError};
use steadfast_rabbitmq::{Queue, RabbitMq};

use crate::broker::Topics;

/// One waiting queue for each queue of the run: its waits are short and happen in place.
const WAIT: Duration = Duration::from_secs(1);

/// Makes the queues of the run, which stay behind: the server is not ours to tidy up.
///
/// # Errors
/// In words without user and password.
pub(crate) async fn open(address: &str, topics: &Topics) -> Result<Arc<dyn Broker>, String> {
    let words =
        |error: &dyn std::fmt::Display| format!("--broker: RabbitMQ cannot be used: {error}");
    let broker = RabbitMq::new(address).map_err(|error| words(&error))?;
    let broker = [&topics.source, &topics.dead, &topics.unreadable]
        .into_iter()
        .fold(broker, |broker, name| broker.declare(Queue::quorum(name)))
        .waits([WAIT])
        .map_err(|error| words(&error))?;
    // Whether it can be used is known now, and the queues are there.
    broker.publisher().await.map_err(|error: BrokerError| words(&error))?;
    Ok(Arc::new(broker))
}
