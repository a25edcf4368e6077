//! Breaches in the life of a session.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use steadfast::{
    Delivery,
    broker::{
        BrokerError, Capabilities, Demand, Settle, SettleError, Settlement, Source, Subscription,
    },
};

use crate::bent::{Breach, Memory};

/// Does not hear a stop.
pub(crate) struct IgnoresStop;

#[async_trait]
impl Breach for IgnoresStop {
    async fn stop(&self, _source: &dyn Source) {}
}

/// Goes on delivering after a stop, for as long as there is something.
#[derive(Default)]
pub(crate) struct DeliversAfterStop(Memory<BTreeSet<usize>>);

#[async_trait]
impl Breach for DeliversAfterStop {
    async fn receive(
        &self,
        source: &dyn Source,
        demand: Demand,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let has_stopped = self.0.lock().contains(&address(source));
        if has_stopped && source.backlog().await? == Some(0) {
            source.stop().await;
        }
        source.receive(demand).await
    }

    async fn stop(&self, source: &dyn Source) {
        self.0.lock().insert(address(source));
        if source.backlog().await.is_ok_and(|waiting| waiting == Some(0)) {
            source.stop().await;
        }
    }
}

/// Does not tell that the connection is lost: healthy to look at, and deaf.
pub(crate) struct FallsSilent;

#[async_trait]
impl Breach for FallsSilent {
    async fn receive(
        &self,
        source: &dyn Source,
        demand: Demand,
    ) -> Result<Vec<Delivery>, BrokerError> {
        match source.receive(demand).await {
            Err(_) => std::future::pending().await,
            received => received,
        }
    }
}

/// Takes a session that cannot be had for the end of everything.
pub(crate) struct GivesUpOnCuts;

#[async_trait]
impl Breach for GivesUpOnCuts {
    async fn receive(
        &self,
        source: &dyn Source,
        demand: Demand,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let received = source.receive(demand).await;
        received.map_err(|error| BrokerError::Misconfigured(error.to_string()))
    }
}

/// Fetches ahead, and forgets what it has fetched when it stops.
#[derive(Default)]
pub(crate) struct ForgetsWhatItFetched(Memory<Vec<Delivery>>);

#[async_trait]
impl Breach for ForgetsWhatItFetched {
    async fn receive(
        &self,
        source: &dyn Source,
        _demand: Demand,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let ready = self.0.lock().pop();
        if let Some(delivery) = ready {
            return Ok(vec![delivery]);
        }
        let mut fetched = source.receive(Demand::new(1000, usize::MAX)).await?;
        let first = fetched.pop();
        self.0.lock().extend(fetched);
        Ok(first.into_iter().collect())
    }

    async fn stop(&self, source: &dyn Source) {
        let fetched: Vec<Delivery> = self.0.lock().drain(..).collect();
        let acks: Vec<Settle> =
            fetched.into_iter().map(|delivery| Settle::new(delivery, Settlement::Ack)).collect();
        let _ = source.settle(&acks).await;
        source.stop().await;
    }
}

/// Gives all groups one queue.
pub(crate) struct KnowsOneGroup;

impl Breach for KnowsOneGroup {
    fn subscribe(&self, subscription: &mut Subscription) {
        subscription.group = "all".to_owned();
    }
}

/// Gives every member of a group everything.
#[derive(Default)]
pub(crate) struct TellsEveryone(AtomicU32);

impl Breach for TellsEveryone {
    fn subscribe(&self, subscription: &mut Subscription) {
        let member = self.0.fetch_add(1, Ordering::Relaxed);
        subscription.group = format!("{}-{member}", subscription.group);
    }
}

/// Takes a topic that does not exist for an outage.
pub(crate) struct WaitsForMissingTopics;

impl Breach for WaitsForMissingTopics {
    fn refuse(&self, error: BrokerError) -> BrokerError {
        BrokerError::unavailable(error.to_string())
    }
}

/// Refuses without saying what.
pub(crate) struct RefusesWithoutWords;

impl Breach for RefusesWithoutWords {
    fn refuse(&self, _error: BrokerError) -> BrokerError {
        BrokerError::Misconfigured("404".to_owned())
    }
}

/// Takes an outage for the end of everything.
pub(crate) struct GivesUpAtStart;

impl Breach for GivesUpAtStart {
    fn refuse(&self, error: BrokerError) -> BrokerError {
        BrokerError::Misconfigured(error.to_string())
    }
}

/// Does one thing at a time.
#[derive(Default)]
pub(crate) struct DoesOneThing(tokio::sync::Mutex<()>);

#[async_trait]
impl Breach for DoesOneThing {
    async fn receive(
        &self,
        source: &dyn Source,
        demand: Demand,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let _busy = self.0.lock().await;
        source.receive(demand).await
    }

    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        let _busy = self.0.lock().await;
        source.settle(batch).await
    }
}

/// Counts into its backlog what it has handed out.
#[derive(Default)]
pub(crate) struct CountsWhatIsOut(AtomicU32);

#[async_trait]
impl Breach for CountsWhatIsOut {
    fn deliver(&self, _delivery: &mut Delivery) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        let acks = batch.iter().filter(|settle| settle.settlement == Settlement::Ack).count();
        self.0.fetch_sub(acks as u32, Ordering::Relaxed);
        source.settle(batch).await
    }

    async fn backlog(&self, source: &dyn Source) -> Result<Option<u64>, BrokerError> {
        let out = u64::from(self.0.load(Ordering::Relaxed));
        Ok(source.backlog().await?.map(|waiting| waiting + out))
    }
}

/// Sees no backlog.
pub(crate) struct SeesNoBacklog;

#[async_trait]
impl Breach for SeesNoBacklog {
    async fn backlog(&self, _source: &dyn Source) -> Result<Option<u64>, BrokerError> {
        Ok(Some(0))
    }
}

/// Claims to keep order.
pub(crate) struct ClaimsOrder;

impl Breach for ClaimsOrder {
    fn claim(&self, capabilities: &mut Capabilities) {
        capabilities.ordered = true;
    }
}

/// Claims to keep order, and puts what is released in another.
#[derive(Default)]
pub(crate) struct ScattersReleases(AtomicU32);

#[async_trait]
impl Breach for ScattersReleases {
    fn claim(&self, capabilities: &mut Capabilities) {
        capabilities.ordered = true;
    }

    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        let mut scattered = batch.to_vec();
        for settle in &mut scattered {
            if settle.settlement == Settlement::Release {
                let number = self.0.fetch_add(1, Ordering::Relaxed);
                let delay = Duration::from_millis(u64::from(9 - number % 10));
                settle.settlement = Settlement::Requeue { delay, counted: false };
            }
        }
        source.settle(&scattered).await
    }
}

/// Claims that larger messages fit than do.
pub(crate) struct OverstatesItsSize;

impl Breach for OverstatesItsSize {
    fn claim(&self, capabilities: &mut Capabilities) {
        capabilities.max_message_bytes = capabilities.max_message_bytes.map(|most| most + 1);
    }
}

/// Tells sources apart.
fn address(source: &dyn Source) -> usize {
    std::ptr::from_ref(source).cast::<()>().addr()
}
