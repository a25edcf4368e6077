//! The queues, and filling them.

use anyhow::{Result, ensure};
use bench_measure::{DEAD_LETTERS, Order};
use futures::future::try_join_all;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueuePurgeOptions},
    types::ShortString,
};
use steadfast::broker::Broker as _;
use steadfast_rabbitmq::{Queue, RabbitMq};

pub(crate) const CLASSIC: &str = "bench.classic";
pub(crate) const QUORUM: &str = "bench.quorum";

/// Both queues, declared by the adapter.
pub(crate) async fn declared(url: &str) -> Result<RabbitMq> {
    let broker = RabbitMq::new(url)?
        .declare(Queue::classic(CLASSIC))
        .declare(Queue::quorum(QUORUM))
        .declare(Queue::quorum(DEAD_LETTERS));
    broker.publisher().await?;
    Ok(broker)
}

/// Fills queues, on a connection of its own.
pub(crate) struct Filler {
    channel: Channel,
    _connection: Connection,
}

/// How many confirmations are waited for at the same time.
const PIPELINE: u64 = 1_000;

/// As messages are that somebody cares for (AMQP 0-9-1, `basic.properties.delivery-mode`).
const PERSISTENT: u8 = 2;

impl Filler {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { channel, _connection: connection })
    }

    /// Leaves exactly this many messages in the queue, each confirmed.
    pub(crate) async fn fill(&self, queue: &str, messages: u64) -> Result<()> {
        self.channel.queue_purge(ShortString::from(queue), QueuePurgeOptions::default()).await?;
        for first in (0..messages).step_by(usize::try_from(PIPELINE)?) {
            let last = messages.min(first + PIPELINE);
            let published = (first..last).map(|number| self.publish(queue, number));
            for confirmation in try_join_all(published).await? {
                ensure!(confirmation == Confirmation::Ack(None), "a message was not taken");
            }
        }
        Ok(())
    }

    async fn publish(&self, queue: &str, number: u64) -> Result<Confirmation> {
        let payload = Order::new(number).to_json()?;
        let confirmation = self.channel.basic_publish(
            ShortString::default(),
            ShortString::from(queue),
            BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() },
            &payload,
            BasicProperties::default().with_delivery_mode(PERSISTENT),
        );
        Ok(confirmation.await?.await?)
    }
}
