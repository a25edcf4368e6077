//! A broker around the mock that breaks its contract in one way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use steadfast::{
    Delivery, Message, Receipt,
    broker::{
        Broker, BrokerError, Capabilities, Demand, Publish, PublishError, Settle, SettleError,
        Source, Subscription,
    },
};
use steadfast_mock::MockBroker;

/// One way to break the contract: what is not overridden is done right.
#[async_trait]
pub(crate) trait Breach: Send + Sync + 'static {
    fn claim(&self, _capabilities: &mut Capabilities) {}

    fn subscribe(&self, _subscription: &mut Subscription) {}

    fn refuse(&self, error: BrokerError) -> BrokerError {
        error
    }

    async fn receive(
        &self,
        source: &dyn Source,
        demand: Demand,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let mut deliveries = source.receive(demand).await?;
        deliveries.iter_mut().for_each(|delivery| self.deliver(delivery));
        Ok(deliveries)
    }

    fn deliver(&self, _delivery: &mut Delivery) {}

    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        source.settle(batch).await
    }

    async fn extend(
        &self,
        source: &dyn Source,
        receipts: &[Receipt],
    ) -> Vec<Result<(), SettleError>> {
        source.extend(receipts).await
    }

    async fn stop(&self, source: &dyn Source) {
        source.stop().await;
    }

    async fn close(&self, source: &dyn Source) {
        source.close().await;
    }

    async fn backlog(&self, source: &dyn Source) -> Result<Option<u64>, BrokerError> {
        source.backlog().await
    }

    async fn publish(
        &self,
        publisher: &dyn Publish,
        destination: &str,
        message: &Message,
    ) -> Result<(), PublishError> {
        publisher.publish(destination, message).await
    }

    async fn check(&self, publisher: &dyn Publish, destination: &str) -> Result<(), BrokerError> {
        publisher.check(destination).await
    }
}

/// What a breach remembers.
#[derive(Default)]
pub(crate) struct Memory<T>(Mutex<T>);

impl<T> Memory<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Breaks nothing.
pub(crate) struct Upright;

impl Breach for Upright {}

/// The mock, with a breach.
pub(crate) struct Bent {
    mock: MockBroker,
    breach: Arc<dyn Breach>,
}

impl Bent {
    pub(crate) fn new(mock: MockBroker, breach: Arc<dyn Breach>) -> Self {
        Self { mock, breach }
    }
}

#[async_trait]
impl Broker for Bent {
    fn system(&self) -> &'static str {
        self.mock.system()
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        let mut subscription = subscription.clone();
        self.breach.subscribe(&mut subscription);
        let source = self.mock.subscribe(&subscription).await;
        let source = source.map_err(|error| self.breach.refuse(error))?;
        Ok(Arc::new(BentSource { source, breach: Arc::clone(&self.breach) }))
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        let publisher = self.mock.publisher().await?;
        Ok(Arc::new(BentPublisher { publisher, breach: Arc::clone(&self.breach) }))
    }
}

struct BentSource {
    source: Arc<dyn Source>,
    breach: Arc<dyn Breach>,
}

#[async_trait]
impl Source for BentSource {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.source.capabilities();
        self.breach.claim(&mut capabilities);
        capabilities
    }

    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError> {
        self.breach.receive(&*self.source, demand).await
    }

    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        self.breach.settle(&*self.source, batch).await
    }

    async fn extend(&self, receipts: &[Receipt]) -> Vec<Result<(), SettleError>> {
        self.breach.extend(&*self.source, receipts).await
    }

    async fn stop(&self) {
        self.breach.stop(&*self.source).await;
    }

    async fn close(&self) {
        self.breach.close(&*self.source).await;
    }

    async fn backlog(&self) -> Result<Option<u64>, BrokerError> {
        self.breach.backlog(&*self.source).await
    }
}

struct BentPublisher {
    publisher: Arc<dyn Publish>,
    breach: Arc<dyn Breach>,
}

#[async_trait]
impl Publish for BentPublisher {
    async fn publish(&self, destination: &str, message: &Message) -> Result<(), PublishError> {
        self.breach.publish(&*self.publisher, destination, message).await
    }

    async fn check(&self, destination: &str) -> Result<(), BrokerError> {
        self.breach.check(&*self.publisher, destination).await
    }
}
