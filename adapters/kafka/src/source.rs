//! One session: a member of a group.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use steadfast::{
    Delivery,
    broker::{BrokerError, Capabilities, Demand, Hold, Settle, SettleError, Source, Subscription},
};
use tokio::time::{Instant, sleep_until};

use crate::{
    config::Config, copies::Copies, lag::Lag, poll, positions::LostPositions,
    publish::KafkaPublisher, retry_topics::Tier, state::Shared,
};

/// How long until a receiver looks by itself. The client says only that a queue is no longer empty, and
/// what it says first may be a mark of its own that hides the records behind it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A session of a subscription. Dropping it leaves the group.
pub(crate) struct KafkaSource {
    pub(crate) shared: Arc<Shared>,
    /// Publishes copies, where there are retry topics.
    pub(crate) copies: Option<Copies>,
    capabilities: Capabilities,
}

impl KafkaSource {
    pub(crate) async fn open(
        config: &Config,
        subscription: &Subscription,
        partitions: u32,
        (tiers, copies): (Vec<Tier>, Option<KafkaPublisher>),
        known: (LostPositions, Lag),
    ) -> Result<Self, BrokerError> {
        let longest = tiers.last().map(|tier| tier.delay);
        let capabilities = capabilities(config, longest);
        let all_partitions = partitions as usize * (1 + tiers.len());
        let shared = Arc::new(Shared::new(subscription, tiers, config, known));
        // Made before the thread, so that a caller who gives up takes the member with it.
        let copies = copies.map(Copies::new);
        let source = Self { shared: Arc::clone(&shared), copies, capabilities };
        let (config, subscription) = (config.clone(), subscription.clone());
        let start = move || poll::start(&config, &subscription, all_partitions, shared);
        let starting = tokio::task::spawn_blocking(start);
        starting.await.map_err(BrokerError::unavailable)??;
        Ok(source)
    }
}

fn capabilities(config: &Config, longest: Option<Duration>) -> Capabilities {
    let mut capabilities = Capabilities::default();
    // A copy comes behind what follows its original.
    capabilities.ordered = longest.is_none();
    capabilities.max_delay = longest;
    capabilities.delays_by_copy = longest.is_some();
    capabilities.hold = Hold::Unlimited;
    capabilities.stable_message_ids = true;
    capabilities.max_message_bytes = Some(config.max_message_bytes);
    capabilities
}

#[async_trait]
impl Source for KafkaSource {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError> {
        loop {
            let changed = self.shared.changed.notified();
            let taken = self.shared.take(demand)?;
            if !taken.deliveries.is_empty() || self.shared.state().stopped {
                return Ok(taken.deliveries);
            }
            let look = Instant::now() + LOOK_AGAIN;
            let next = taken.due.map_or(look, |due| instant(due).min(look));
            tokio::select! {
                () = changed => {}
                () = sleep_until(next) => {}
            }
        }
    }

    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        self.settle_batch(batch).await
    }

    async fn lost(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.shared.state().error().is_err() {
                return;
            }
            changed.await;
        }
    }

    async fn stop(&self) {
        self.shared.update(|state| state.stopped = true);
    }

    async fn close(&self) {
        self.shared.update(|state| state.closing = true);
        loop {
            let changed = self.shared.changed.notified();
            if self.shared.state().closed {
                return;
            }
            changed.await;
        }
    }

    async fn backlog(&self) -> Result<Option<u64>, BrokerError> {
        let state = self.shared.state();
        state.error()?;
        Ok(state.backlog(&self.shared))
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.shared.update(|state| state.closing = true);
    }
}

fn instant(due: SystemTime) -> Instant {
    Instant::now() + due.duration_since(SystemTime::now()).unwrap_or_default()
}
