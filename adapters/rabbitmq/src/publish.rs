//! Publishing: confirmed, mandatory, persistent, on a connection apart.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};
use steadfast::{
    Message,
    broker::{BoxError, BrokerError, Publish, PublishError},
};
use tokio::sync::Mutex;

use crate::{
    config::Config,
    connect::{late, within},
    convert::{Outgoing, outgoing},
    error::{NOT_FOUND, PRECONDITION_FAILED, at_setup, has_all_channels, may_pass, reply},
    inspect::Known,
    live::{Current, Live},
    room::Room,
    rules::max_message_bytes,
    topology,
    unreadable::Streak,
    waiting,
};

/// Publishes on a connection that is made when it is needed, and again when it is lost.
///
/// One message at a time travels on a channel: the client gives a returned message to whichever
/// confirmation comes next, so that beside others a lost message could pass for a confirmed one. And
/// what closes a channel, as a message that is too large, concerns no other.
pub(crate) struct Publishing {
    config: Arc<Config>,
    current: Current,
    room: Room,
    /// Held by whoever makes a waiting queue again: one for all whose copies have missed it.
    making_again: Mutex<()>,
}

/// What a message is published as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    Message,
    /// A copy that waits for its retry.
    Waiting,
}

impl As {
    /// The longest that it may take. Copies are given up by those who wait for them before a call's usual
    /// deadline, and a connection that takes none must be found out before that.
    fn deadline(self, config: &Config) -> Duration {
        const COPY: Duration = Duration::from_secs(6);
        match self {
            Self::Message => config.deadline,
            Self::Waiting => config.deadline.min(COPY),
        }
    }
}

/// Why a message was not published.
enum Unpublished {
    NoQueue(String),
    Other(PublishError),
}

impl Publishing {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let current = Current::new(Arc::clone(&config));
        Self { config, current, room: Room::new(), making_again: Mutex::default() }
    }

    /// The connection as it is, or a new one.
    pub(crate) async fn live(&self) -> Result<Arc<Live>, BrokerError> {
        self.current.live().await
    }

    pub(crate) fn known(&self) -> &Known {
        &self.current.known
    }

    pub(crate) fn streak(&self, queue: &Arc<str>) -> Arc<Streak> {
        self.current.streaks.of(queue)
    }

    /// A channel of this connection. One that opens none is let go of, so that whoever comes next makes
    /// another: the client keeps the number of a channel that the server has closed, with its error, and
    /// a connection has 2,047 of them. But where all are in use, one will be free again; and a
    /// server that takes no messages may answer nothing.
    async fn channel(&self, live: &Arc<Live>, deadline: Duration) -> Result<Channel, BrokerError> {
        let opened = live.channel(deadline).await;
        if let Err(error) = &opened
            && !has_all_channels(error)
            && live.link.blocked().is_none()
        {
            self.current.is_lost(live);
        }
        opened
    }

    /// Publishes a copy into a waiting queue of this source. One that was deleted is made again.
    pub(crate) async fn publish_waiting(
        &self,
        source: &str,
        tier: Duration,
        copy: &Message,
    ) -> Result<(), PublishError> {
        let queue = waiting::name(source, tier);
        match self.publish_as(&queue, copy, As::Waiting).await {
            Err(Unpublished::NoQueue(_)) => {}
            published => return Ok(published?),
        }
        let _turn = self.making_again.lock().await;
        // Another copy may have had its turn meanwhile.
        match self.publish_as(&queue, copy, As::Waiting).await {
            Err(Unpublished::NoQueue(_)) => {}
            published => return Ok(published?),
        }
        tracing::warn!(queue, "a waiting queue was deleted: declaring it again");
        let live = self.live().await.map_err(unavailable)?;
        let declaring = topology::declare_waiting(&live.link, &self.config, source);
        declaring.await.map_err(unavailable)?;
        Ok(self.publish_as(&queue, copy, As::Waiting).await?)
    }

    async fn publish_as(
        &self,
        queue: &str,
        message: &Message,
        published_as: As,
    ) -> Result<(), Unpublished> {
        let waits = published_as == As::Waiting;
        let outgoing = outgoing(message, &self.config.key_header, waits)
            .map_err(|error| PublishError::Refused(error.into()))?;
        let deadline = published_as.deadline(&self.config);
        let ready = async {
            let place = self.room.place(queue).await.map_err(BrokerError::unavailable)?;
            Ok::<_, BrokerError>((place, self.live().await?))
        };
        let ready = within(deadline, "make room for a message", ready).await;
        let (_place, live) = ready.flatten().map_err(unavailable)?;
        let most = max_message_bytes(live.version, &self.config);
        fits(&outgoing, most, live.link.frame_max())?;
        if let Some(reason) = live.link.blocked() {
            return Err(unavailable(format!("RabbitMQ takes no messages: {reason}")).into());
        }
        let before = live.confirmed.load(Relaxed);
        let publishing = async {
            let channel = self.channel(&live, deadline).await.map_err(unavailable)?;
            confirmed(&channel, queue, &outgoing.payload, outgoing.properties).await?;
            live.confirmed.fetch_add(1, Relaxed);
            live.give_back(channel);
            Ok(())
        };
        let published = tokio::time::timeout(deadline, publishing).await;
        published.unwrap_or_else(|_| {
            Err(unavailable(match live.link.blocked() {
                Some(reason) => format!("RabbitMQ takes no messages: {reason}").into(),
                None => {
                    // It may be this queue alone that does not answer.
                    if live.confirmed.load(Relaxed) == before {
                        self.current.is_lost(&live);
                    }
                    late(deadline, &format!("a message for queue `{queue}`"))
                }
            })
            .into())
        })
    }
}

#[async_trait]
impl Publish for Publishing {
    async fn publish(&self, destination: &str, message: &Message) -> Result<(), PublishError> {
        Ok(self.publish_as(destination, message, As::Message).await?)
    }

    async fn check(&self, destination: &str) -> Result<(), BrokerError> {
        let live = self.live().await?;
        let deadline = self.config.deadline;
        let channel = self.channel(&live, deadline).await?;
        topology::look(&channel, destination, deadline).await?;
        // The right to write shows in writing only: to a queue that is not there, so that nothing
        // stays.
        let doing = "publishing to the default exchange";
        let nowhere = ShortString::from(format!("steadfast.check.{}", uuid::Uuid::new_v4()));
        let publishing = async {
            let options = BasicPublishOptions::default();
            let none = BasicProperties::default();
            channel.basic_publish("".into(), nowhere, options, &[], none).await?.await
        };
        let published = within(deadline, doing, publishing).await?;
        published.map_err(|error| at_setup(error, doing))?;
        // One that does not answer goes with its connection.
        let _ = within(deadline, "closing a channel", channel.close(200, "closed".into())).await;
        Ok(())
    }
}

/// Publishes and waits for the confirmation.
///
/// The question for the queue goes ahead, unanswered: where there is none, the server closes the
/// channel and never sees the message. Without it the server would send the whole message back, and
/// the client would write it into the log.
async fn confirmed(
    channel: &Channel,
    queue: &str,
    payload: &[u8],
    properties: BasicProperties,
) -> Result<(), Unpublished> {
    let name = ShortString::try_new(queue).map_err(unavailable)?;
    let ask = QueueDeclareOptions { passive: true, nowait: true, ..Default::default() };
    let failed = |error: lapin::Error| match reply(&error) {
        Some((PRECONDITION_FAILED, text)) if text.contains("larger than") => {
            PublishError::Refused(text.into()).into()
        }
        Some((NOT_FOUND, text)) if !may_pass(text) => Unpublished::NoQueue(text.to_owned()),
        Some((_, text)) => unavailable(text.to_owned()).into(),
        None => unavailable(error).into(),
    };
    channel.queue_declare(name.clone(), ask, FieldTable::default()).await.map_err(failed)?;
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let publishing = channel.basic_publish("".into(), name, options, payload, properties);
    match publishing.await.map_err(failed)?.await.map_err(failed)? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
            let why = returned.reply_text.to_string();
            Err(Unpublished::NoQueue(format!("no queue took the message for `{queue}`: {why}")))
        }
        Confirmation::Nack(None) => Err(unavailable(format!(
            "queue `{queue}` refuses messages: it is full, or has lost its quorum"
        ))
        .into()),
        Confirmation::NotRequested => Err(unavailable("the channel does not confirm").into()),
    }
}

fn fits(outgoing: &Outgoing, most: usize, frame_max: usize) -> Result<(), PublishError> {
    let payload = outgoing.payload.len();
    if payload > most {
        let words = format!("a payload of {payload} bytes, and the server takes {most}");
        return Err(PublishError::Refused(words.into()));
    }
    if outgoing.property_bytes > frame_max {
        let (found, most) = (outgoing.property_bytes, frame_max);
        let words = format!("headers of {found} bytes, and one frame holds {most}");
        return Err(PublishError::Refused(words.into()));
    }
    Ok(())
}

fn unavailable(error: impl Into<BoxError>) -> PublishError {
    PublishError::Unavailable(error.into())
}

impl From<PublishError> for Unpublished {
    fn from(error: PublishError) -> Self {
        Self::Other(error)
    }
}

impl From<Unpublished> for PublishError {
    fn from(unpublished: Unpublished) -> Self {
        match unpublished {
            Unpublished::NoQueue(words) => unavailable(words),
            Unpublished::Other(error) => error,
        }
    }
}
