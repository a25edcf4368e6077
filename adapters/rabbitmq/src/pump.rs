//! Takes what the server sends, and watches the window.

use std::sync::Arc;

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
    config::Config, connect::within, convert::incoming, error::at_setup, held::Held, rules,
    window::Window,
};

/// What the pump works with.
pub(crate) struct Intake {
    pub(crate) channel: Channel,
    pub(crate) queue: Arc<str>,
    pub(crate) tag: String,
    pub(crate) consumers: u32,
    pub(crate) config: Arc<Config>,
    pub(crate) held: Arc<Held>,
    pub(crate) window: Window,
    pub(crate) ordered: bool,
    /// Whether it is unknown what kind of queue this is.
    pub(crate) unseen: bool,
    pub(crate) stopping: watch::Receiver<bool>,
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

/// How a consumer on the channel ended.
enum Ended {
    /// The window wants another prefetch.
    Resized,
    Stopped,
    Lost(String),
}

impl Intake {
    /// Begins to consume, and goes on in the background.
    pub(crate) async fn start(mut self) -> Result<Pump, BrokerError> {
        let consumer = self.consume().await?;
        let (ends, ended) = watch::channel(());
        tokio::spawn(async move {
            self.run(consumer).await;
            drop(ends);
        });
        Ok(Pump { ended })
    }

    async fn run(&mut self, mut consumer: Consumer) {
        loop {
            match self.take(&mut consumer).await {
                Ended::Resized => {}
                Ended::Stopped => return self.give_back(consumer).await,
                Ended::Lost(reason) => return self.held.end(reason),
            }
            if let Err(error) = self.cancel(consumer).await {
                return self.held.end(error.to_string());
            }
            self.room().await;
            if *self.stopping.borrow() {
                return self.give_back_ready().await;
            }
            match self.consume().await {
                Ok(next) => consumer = next,
                Err(error) => return self.held.end(error.to_string()),
            }
        }
    }

    /// The prefetch first: it holds for consumers that come after it.
    ///
    /// Each under a tag of its own: a quorum queue takes a second consumer of one tag for the first,
    /// counts its deliveries on, and closes the channel or delivers twice.
    ///
    /// Source: <https://github.com/rabbitmq/rabbitmq-server/issues/5927>.
    async fn consume(&mut self) -> Result<Consumer, BrokerError> {
        let deadline = self.config.deadline;
        let setting = self.channel.basic_qos(self.window.prefetch(), BasicQosOptions::default());
        within(deadline, "setting the prefetch", setting)
            .await?
            .map_err(|error| at_setup(error, "setting the prefetch"))?;
        let doing = format!("consuming from queue `{}`", self.queue);
        self.consumers += 1;
        let tag = format!("{}-{}", self.tag, self.consumers);
        self.held.opens(self.window.prefetch().into());
        let consuming = self.channel.basic_consume(
            ShortString::from(&*self.queue),
            ShortString::from(tag),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        within(deadline, &doing, consuming).await?.map_err(|error| at_setup(error, &doing))
    }

    async fn take(&mut self, consumer: &mut Consumer) -> Ended {
        loop {
            let mut next = tokio::select! {
                biased;
                next = consumer.next() => next,
                // Not when its other end is dropped: see `Pump`.
                Ok(_) = self.stopping.wait_for(|stop| *stop) => return Ended::Stopped,
            };
            let mut resize = false;
            loop {
                match next {
                    Some(Ok(delivery)) => resize |= self.arrive(delivery),
                    Some(Err(error)) => return Ended::Lost(error.to_string()),
                    None => {
                        let queue = &self.queue;
                        return Ended::Lost(format!(
                            "the server ended the consumer: queue `{queue}` was deleted, or moved"
                        ));
                    }
                }
                match consumer.next().now_or_never() {
                    Some(ready) => next = ready,
                    None => break,
                }
            }
            if resize {
                return Ended::Resized;
            }
        }
    }

    /// Whether the window wants another prefetch.
    fn arrive(&mut self, delivery: Delivery) -> bool {
        if self.unseen && is_of_a_stream(&delivery) {
            self.held.refuse(rules::no_stream(&self.queue));
        }
        let incoming = incoming(
            &delivery.properties,
            (delivery.exchange.as_str(), delivery.routing_key.as_str()),
            Bytes::from(delivery.data),
            &self.config.key_header,
        );
        // An ordered session keeps its consumer: without it the server would make another active.
        let resize = self.window.saw(incoming.message.size()) && !self.ordered;
        self.held.arrive(delivery.delivery_tag, incoming);
        resize
    }

    /// Ends a consumer and takes what it was still sent.
    async fn cancel(&mut self, mut consumer: Consumer) -> Result<(), BrokerError> {
        let deadline = self.config.deadline;
        self.held.opens(0);
        let cancelling = self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        within(deadline, "cancelling the consumer", cancelling)
            .await?
            .map_err(BrokerError::unavailable)?;
        let rest = async {
            while let Some(delivery) = consumer.next().await {
                self.arrive(delivery.map_err(BrokerError::unavailable)?);
            }
            Ok(())
        };
        within(deadline, "cancelling the consumer", rest).await?
    }

    /// Waits until a window fits beside what is unsettled, or nobody wants one any more.
    async fn room(&mut self) {
        loop {
            let changed = self.held.changed();
            let (messages, bytes) = self.held.load();
            let unwanted = self.held.is_stopped() || self.held.is_over();
            if self.window.fits_beside(messages, bytes) || unwanted {
                return;
            }
            tokio::select! {
                () = changed => {}
                Ok(_) = self.stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn give_back(&mut self, consumer: Consumer) {
        match self.cancel(consumer).await {
            Ok(()) => self.give_back_ready().await,
            Err(error) => self.held.end(error.to_string()),
        }
    }

    async fn give_back_ready(&mut self) {
        let requeue = BasicNackOptions { multiple: false, requeue: true };
        let ready = self.held.take_ready();
        let returning = ready.into_iter().map(|tag| self.channel.basic_nack(tag, requeue));
        let returned = futures::future::try_join_all(returning);
        if let Ok(Ok(_)) = within(self.config.deadline, "returning messages", returned).await {
            return;
        }
        self.held.end("messages could not be returned");
    }
}

/// The server writes the offset into each delivery of a stream.
fn is_of_a_stream(delivery: &Delivery) -> bool {
    let headers = delivery.properties.headers().as_ref();
    headers.is_some_and(|headers| headers.contains_key("x-stream-offset"))
}
