//! One session: a connection, a channel, a consumer.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use lapin::{Channel, types::ShortString};
use steadfast::{
    Delivery, Origin, Receipt,
    broker::{BrokerError, Capabilities, Demand, Settle, SettleError, Source, Subscription},
};
use tokio::sync::watch;

use crate::{
    config::Config,
    connect::{Link, within},
    held::{Found, Held, Over},
    inspect::Declared,
    publish::Publishing,
    pump::{Consuming, Intake, Pump},
    rules::Nature,
    settle::Settler,
    topology,
    window::Window,
};

/// A session of a subscription. Dropping it closes its connection, and the server gives back what
/// it holds.
pub(crate) struct RabbitSource {
    config: Arc<Config>,
    queue: Arc<str>,
    consumer: String,
    epoch: u64,
    capabilities: Capabilities,
    /// Whether another session may have to be served first.
    may_stand_by: bool,
    held: Arc<Held>,
    settler: Settler,
    link: Arc<Link>,
    channel: Channel,
    stop: watch::Sender<bool>,
    pump: Pump,
}

/// Sets everything up: connection, channel, checks, prefetch, and only then the consumer.
pub(crate) async fn open(
    config: Arc<Config>,
    publishing: Arc<Publishing>,
    subscription: &Subscription,
) -> Result<Arc<dyn Source>, BrokerError> {
    static EPOCHS: AtomicU64 = AtomicU64::new(1);
    let queue: Arc<str> = subscription.source.as_str().into();
    let version = publishing.live().await?.version;
    let name = format!("steadfast {} consumes {queue}", subscription.group);
    let link = Link::open(&config, &name).await?;
    topology::look(&link.channel().await?, &queue, config.deadline).await?;
    let declared = Declared::of(&link, &queue, config.deadline, publishing.known()).await?;
    let nature = Nature::of(&queue, declared.as_ref(), version, &config)
        .map_err(BrokerError::Misconfigured)?;
    if declared.is_none() {
        tracing::warn!(
            queue = &*queue,
            "the arguments of the queue cannot be read, for want of the right to configure it: neither \
             order nor counts of deliveries are relied on"
        );
    }
    if nature.unconfirmed {
        tracing::warn!(
            queue = &*queue,
            "the server does not wait for a confirmation when it dead-letters a message at its delivery \
             limit, and can lose it: that needs `x-dead-letter-strategy` = at-least-once and `x-overflow` \
             = reject-publish. If a policy sets them, say so by `RabbitMq::policies_dead_letter()`"
        );
    }
    if subscription.ordered && !nature.ordered {
        tracing::error!(
            queue = &*queue,
            "order needs a queue with `x-single-active-consumer` and without priorities: declare \
             it as `Queue::quorum(…).single_active_consumer()`"
        );
    }
    let capabilities = nature.capabilities(subscription.ordered, version, &config);
    if capabilities.delays_by_copy {
        topology::declare_waiting(&link, &config, &queue).await?;
    }

    let channel = link.channel().await?;
    let held = Arc::new(Held::default());
    let window = Window::new(subscription.max_messages, subscription.max_bytes);
    let streak = publishing.streak(&queue);
    let consumer = consumer_tag(&subscription.group);
    let (stop, stopping) = watch::channel(false);
    let intake = Intake {
        channel: channel.clone(),
        queue: Arc::clone(&queue),
        tag: consumer.clone(),
        config: Arc::clone(&config),
        held: Arc::clone(&held),
        window,
        streak: Arc::clone(&streak),
        ordered: capabilities.ordered,
        alone: nature.single_active,
        overtaken: capabilities.ordered && nature.has_ranks,
        unseen: declared.is_none(),
        stopping,
        consuming: Consuming::default(),
    };
    let pump = intake.start().await?;
    Ok(Arc::new(RabbitSource {
        settler: Settler {
            channel: channel.clone(),
            queue: Arc::clone(&queue),
            config: Arc::clone(&config),
            held: Arc::clone(&held),
            publishing,
            streak,
            ordered: capabilities.ordered,
            said: Mutex::default(),
        },
        epoch: EPOCHS.fetch_add(1, Ordering::Relaxed),
        config,
        queue,
        consumer,
        capabilities,
        may_stand_by: nature.single_active,
        held,
        link: Arc::new(link),
        channel,
        stop,
        pump,
    }))
}

/// What the server's tools show: the group, and which of its members.
fn consumer_tag(group: &str) -> String {
    let mut group = group.to_owned();
    while group.len() > 200 {
        group.pop();
    }
    format!("{group}-{}", uuid::Uuid::new_v4().simple())
}

#[async_trait]
impl Source for RabbitSource {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError> {
        loop {
            let changed = self.held.changed();
            match self.held.hand_out(demand, self.capabilities.ordered) {
                Found::Deliveries(found) => {
                    return Ok(found.into_iter().map(|found| self.delivery(found)).collect());
                }
                Found::Nothing => changed.await,
                Found::Stopped => return Ok(Vec::new()),
                Found::Over(Over::Lost(reason)) => return Err(BrokerError::unavailable(reason)),
                Found::Over(Over::Refused(words)) => return Err(BrokerError::Misconfigured(words)),
            }
        }
    }

    async fn lost(&self) {
        loop {
            let changed = self.held.changed();
            if self.held.is_over() {
                return;
            }
            changed.await;
        }
    }

    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        self.settler.settle(batch, self.epoch).await
    }

    /// An ordered session stays subscribed until it closes: the server would give what follows to
    /// another consumer while this one is still at work.
    async fn stop(&self) {
        self.held.stop();
        if !self.capabilities.ordered {
            self.stop.send_replace(true);
            self.pump.ended().await;
        }
    }

    async fn close(&self) {
        if self.capabilities.counts_deliveries && !self.held.is_over() {
            self.settler.linger().await;
        }
        self.held.end("the session is closed");
        close(self.channel.clone(), Arc::clone(&self.link), self.config.deadline).await;
    }

    /// A consumer that stands by beside the active one gets nothing, however much there is: it
    /// counts only when it has been given something. And the server sends nothing to one that holds
    /// as much as it may.
    async fn backlog(&self) -> Result<Option<u64>, BrokerError> {
        if self.may_stand_by && !self.held.has_handed_out() {
            return Ok(None);
        }
        let here = u64::try_from(self.held.ready()).unwrap_or(u64::MAX);
        if !self.held.is_open() {
            return Ok(Some(here));
        }
        let channel = self.link.channel().await?;
        let ready = topology::look(&channel, &self.queue, self.config.deadline).await?;
        Ok(Some(here.saturating_add(ready.into())))
    }
}

/// A session that nobody closed is closed behind it, the channel first.
impl Drop for RabbitSource {
    fn drop(&mut self) {
        self.held.end("the session was dropped");
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let link = Arc::clone(&self.link);
            runtime.spawn(close(self.channel.clone(), link, self.config.deadline));
        }
    }
}

/// The channel first: with it all that is unsettled goes back, in its order, before the server looks for
/// another consumer.
async fn close(channel: Channel, link: Arc<Link>, deadline: Duration) {
    let closing = channel.close(200, ShortString::from("closed"));
    // One that does not answer goes with its connection.
    let _ = within(deadline, "closing the channel", closing).await;
    link.close().await;
}

impl RabbitSource {
    fn delivery(&self, (receipt, tag, incoming): (u64, u64, crate::convert::Incoming)) -> Delivery {
        let mut origin = Origin::new(Arc::clone(&self.queue));
        origin.message_id = incoming.id;
        origin.published_at = incoming.published_at;
        if self.capabilities.ordered {
            // The only name that a message without an id has, for as long as the session lasts.
            origin.position = Some(format!("{}#{tag}", self.consumer));
        }
        let receipt = Receipt::new(self.epoch, receipt);
        let delivery = Delivery::new(incoming.message, origin, receipt);
        match self.capabilities.counts_deliveries {
            true => {
                delivery.with_broker_deliveries(incoming.returns.unwrap_or(0).saturating_add(1))
            }
            false => delivery,
        }
    }
}
