//! Takes what the server sends, and watches the window.

use std::{future::poll_fn, sync::Arc, task::Poll};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use steadfast::broker::BrokerError;
use tokio::sync::watch;

use crate::{
    config::Config,
    connect::within,
    convert::incoming,
    error::{at_setup, of_client, unreadable},
    held::Held,
    rules,
    unreadable::{Streak, refusal},
    window::Window,
};

/// What the pump works with.
///
/// RabbitMQ's prefetch is a consumer's, and stays what it was when the consumer began. So a session whose
/// window grows takes one more consumer on its channel, and one whose window shrinks cancels the latest.
pub(crate) struct Intake {
    pub(crate) channel: Channel,
    pub(crate) queue: Arc<str>,
    pub(crate) tag: String,
    pub(crate) config: Arc<Config>,
    pub(crate) held: Arc<Held>,
    pub(crate) window: Window,
    pub(crate) streak: Arc<Streak>,
    /// Whether the prefetch stays what it is: without its consumer an ordered session would lose its turn.
    pub(crate) ordered: bool,
    /// Whether a second consumer of this session might have to stand by.
    pub(crate) alone: bool,
    /// Whether messages of a high priority break an order that was promised.
    pub(crate) overtaken: bool,
    /// Whether it is unknown what kind of queue this is.
    pub(crate) unseen: bool,
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) consuming: Consuming,
}

/// The consumers of a session.
#[derive(Default)]
pub(crate) struct Consuming {
    /// The number of the latest.
    last: u32,
    open: Vec<Open>,
}

/// A consumer with its prefetch.
struct Open {
    number: u32,
    prefetch: usize,
    deliveries: Consumer,
}

/// The pump at work. It ends with its channel: dropped before, its consumer would be cancelled, and the
/// server would make another one active while this session still holds what comes first.
pub(crate) struct Pump {
    ended: watch::Receiver<()>,
}

impl Pump {
    /// Waits until it has given back what it had fetched. Cancel safe.
    pub(crate) async fn ended(&self) {
        // The sender goes with the pump.
        while self.ended.clone().changed().await.is_ok() {}
    }
}

/// Why no more is taken for now.
enum Pause {
    /// The window wants another prefetch.
    Resize,
    Stop,
    Lost(BrokerError),
}

impl Intake {
    /// Begins to consume, and goes on in the background.
    pub(crate) async fn start(mut self) -> Result<Pump, BrokerError> {
        self.consume(self.wanted()).await?;
        let (ends, ended) = watch::channel(());
        tokio::spawn(async move {
            self.run().await;
            drop(ends);
        });
        Ok(Pump { ended })
    }

    async fn run(&mut self) {
        let done = loop {
            match self.take().await {
                Pause::Resize => {
                    if let Err(error) = self.resize().await {
                        break Err(self.consuming.told().map_or(error, BrokerError::unavailable));
                    }
                }
                Pause::Stop => break self.give_back().await,
                Pause::Lost(error) => break Err(error),
            }
        };
        if let Err(error) = done {
            self.ends(&error);
        }
    }

    /// Ends the session, and all sessions of this queue when they end over one message without an end.
    fn ends(&self, error: &BrokerError) {
        let reason = match error {
            BrokerError::Unavailable(error) => error.to_string(),
            other => other.to_string(),
        };
        let Some(found) = of_client(error).and_then(unreadable) else {
            return self.held.end(reason);
        };
        tracing::error!(
            queue = &*self.queue,
            error = %reason,
            "the client has given up its connection over a message that it cannot read: {found}"
        );
        match self.streak.grows() {
            true => self.held.refuse(refusal(&self.queue, found)),
            false => self.held.end(reason),
        }
    }

    /// The prefetch first: it holds for consumers that come after it.
    ///
    /// Each under a tag of its own: a quorum queue takes a second consumer of one tag for the first,
    /// counts its deliveries on, and closes the channel or delivers twice.
    ///
    /// Source: <https://github.com/rabbitmq/rabbitmq-server/issues/5927>.
    async fn consume(&mut self, prefetch: usize) -> Result<(), BrokerError> {
        let deadline = self.config.deadline;
        let count = u16::try_from(prefetch).unwrap_or(u16::MAX);
        let setting = self.channel.basic_qos(count, BasicQosOptions::default());
        within(deadline, "setting the prefetch", setting)
            .await?
            .map_err(|error| at_setup(error, "setting the prefetch"))?;
        let doing = format!("consuming from queue `{}`", self.queue);
        self.consuming.last += 1;
        let number = self.consuming.last;
        let tag = format!("{}-{number}", self.tag);
        self.held.opens(number, prefetch);
        let consuming = self.channel.basic_consume(
            ShortString::from(&*self.queue),
            ShortString::from(tag),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consuming = within(deadline, &doing, consuming).await?;
        let deliveries = consuming.map_err(|error| at_setup(error, &doing))?;
        self.consuming.open.push(Open { number, prefetch, deliveries });
        Ok(())
    }

    async fn take(&mut self) -> Pause {
        /// Between two looks at the window.
        const AT_A_TIME: usize = 64;
        let held = Arc::clone(&self.held);
        loop {
            let changed = held.changed();
            if !self.ordered && self.wanted() != self.consuming.prefetch() {
                return Pause::Resize;
            }
            let mut next = tokio::select! {
                biased;
                next = self.consuming.next() => next,
                // Not when its other end is dropped: see `Pump`.
                Ok(_) = self.stopping.wait_for(|stop| *stop) => return Pause::Stop,
                // What cancelled consumers have left is settled: there may be room.
                () = changed, if held.has_left_over() => continue,
            };
            for left in (0..AT_A_TIME).rev() {
                match next {
                    (by, Some(Ok(delivery))) => self.arrive(by, delivery),
                    (_, Some(Err(error))) => return Pause::Lost(BrokerError::unavailable(error)),
                    (_, None) => {
                        let queue = &self.queue;
                        return Pause::Lost(BrokerError::unavailable(format!(
                            "the server ended the consumer: queue `{queue}` was deleted, or moved"
                        )));
                    }
                }
                // What is taken out of the stream is taken in.
                if left == 0 {
                    break;
                }
                match self.consuming.next().now_or_never() {
                    Some(ready) => next = ready,
                    None => break,
                }
            }
        }
    }

    fn arrive(&mut self, by: u32, delivery: Delivery) {
        if self.unseen && is_of_a_stream(&delivery) {
            self.held.refuse(rules::no_stream(&self.queue));
        }
        if self.overtaken && delivery.properties.priority().is_some_and(rules::is_high) {
            self.overtaken = false;
            tracing::error!(
                queue = &*self.queue,
                "a message has a priority above 4, and RabbitMQ 4 puts those before others in a quorum \
                 queue: order is kept only between messages of the same rank"
            );
        }
        let incoming = incoming(
            &delivery.properties,
            (delivery.exchange.as_str(), delivery.routing_key.as_str()),
            Bytes::from(delivery.data),
            &self.config.key_header,
        );
        self.window.saw(incoming.message.size());
        self.held.arrive(by, delivery.delivery_tag, incoming);
    }

    fn wanted(&self) -> usize {
        self.window.wanted(self.consuming.prefetch(), self.held.left_over())
    }

    async fn resize(&mut self) -> Result<(), BrokerError> {
        let wanted = self.wanted();
        while self.consuming.prefetch() > wanted || (self.alone && !self.consuming.open.is_empty())
        {
            self.cancel_latest().await?;
        }
        // Once more, since what the cancelled ones have left takes its room.
        let (open, wanted) = (self.consuming.prefetch(), self.wanted());
        if wanted > open {
            self.consume(wanted - open).await?;
        }
        self.window.opened();
        Ok(())
    }

    /// Ends a consumer, if there is one, and takes what it was still sent.
    async fn cancel_latest(&mut self) -> Result<(), BrokerError> {
        let Some(mut latest) = self.consuming.open.pop() else { return Ok(()) };
        self.held.closes(latest.number);
        let deadline = self.config.deadline;
        let cancelling = async {
            let (tag, options) = (latest.deliveries.tag(), BasicCancelOptions::default());
            let cancelled = self.channel.basic_cancel(tag, options).await;
            // Also when that has failed: consumers are told why a channel has ended, and who calls it is not.
            while let Some(delivery) = latest.deliveries.next().await {
                self.arrive(latest.number, delivery.map_err(BrokerError::unavailable)?);
            }
            cancelled.map_err(BrokerError::unavailable)
        };
        within(deadline, "cancelling the consumer", cancelling).await?
    }

    async fn give_back(&mut self) -> Result<(), BrokerError> {
        while !self.consuming.open.is_empty() {
            self.cancel_latest().await?;
        }
        let requeue = BasicNackOptions { multiple: false, requeue: true };
        let ready = self.held.take_ready();
        let returning = ready.into_iter().map(|tag| self.channel.basic_nack(tag, requeue));
        let returned = futures::future::try_join_all(returning);
        within(self.config.deadline, "returning messages", returned)
            .await?
            .map(drop)
            .map_err(BrokerError::unavailable)
    }
}

impl Consuming {
    fn prefetch(&self) -> usize {
        self.open.iter().map(|open| open.prefetch).sum()
    }

    /// What the server sends next to any of them; `None` when it has ended one.
    async fn next(&mut self) -> (u32, Option<lapin::Result<Delivery>>) {
        poll_fn(|context| {
            for open in &mut self.open {
                if let Poll::Ready(next) = open.deliveries.poll_next_unpin(context) {
                    return Poll::Ready((open.number, next));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Why they have ended, if one of them was told already.
    fn told(&mut self) -> Option<lapin::Error> {
        loop {
            match self.next().now_or_never()? {
                (_, Some(Ok(_))) => {}
                (_, Some(Err(error))) => return Some(error),
                (_, None) => return None,
            }
        }
    }
}

/// The server writes the offset into each delivery of a stream.
fn is_of_a_stream(delivery: &Delivery) -> bool {
    let headers = delivery.properties.headers().as_ref();
    headers.is_some_and(|headers| headers.contains_key("x-stream-offset"))
}
