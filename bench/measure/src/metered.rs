//! A broker whose settlements are counted.

use std::sync::Arc;

use async_trait::async_trait;
use steadfast::{
    Delivery, Receipt,
    broker::{
        Broker, BrokerError, Capabilities, Demand, Publish, Settle, SettleError, Settlement,
        Source, Subscription,
    },
};

use crate::Meter;

/// The broker inside, and a look at each answer to a settlement.
pub(crate) struct Metered<B> {
    pub(crate) broker: B,
    pub(crate) meter: Meter,
}

#[async_trait]
impl<B: Broker> Broker for Metered<B> {
    fn system(&self) -> &'static str {
        self.broker.system()
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        let source = self.broker.subscribe(subscription).await?;
        Ok(Arc::new(MeteredSource { source, meter: self.meter.clone() }))
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        self.broker.publisher().await
    }
}

struct MeteredSource {
    source: Arc<dyn Source>,
    meter: Meter,
}

#[async_trait]
impl Source for MeteredSource {
    fn capabilities(&self) -> Capabilities {
        self.source.capabilities()
    }

    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError> {
        self.source.receive(demand).await
    }

    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        let answers = self.source.settle(batch).await;
        let acked = batch.iter().zip(&answers).filter(|(settle, answer)| {
            settle.settlement == Settlement::Ack
                && answer.is_ok()
                && self.meter.counts(&settle.message)
        });
        self.meter.settled(acked.count() as u64);
        answers
    }

    async fn extend(&self, receipts: &[Receipt]) -> Vec<Result<(), SettleError>> {
        self.source.extend(receipts).await
    }

    async fn lost(&self) {
        self.source.lost().await;
    }

    async fn stop(&self) {
        self.source.stop().await;
    }

    async fn close(&self) {
        self.source.close().await;
    }

    async fn backlog(&self) -> Result<Option<u64>, BrokerError> {
        self.source.backlog().await
    }
}
