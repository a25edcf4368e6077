//! A broker of a user's own whose settlements take long.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use steadfast::{
    Delivery, Receipt,
    broker::{
        Broker, BrokerError, Capabilities, Demand, Publish, Settle, SettleError, Source,
        Subscription,
    },
    handler_fn,
};
use steadfast_mock::MockBroker;

use crate::support::{Order, SOURCE, broker_with, consumer};

struct Slow(MockBroker);

struct SlowSource(Arc<dyn Source>);

#[async_trait]
impl Broker for Slow {
    fn system(&self) -> &'static str {
        "slow"
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        Ok(Arc::new(SlowSource(self.0.subscribe(subscription).await?)))
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        self.0.publisher().await
    }
}

#[async_trait]
impl Source for SlowSource {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError> {
        self.0.receive(demand).await
    }

    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        tokio::time::sleep(Duration::from_secs(18)).await;
        self.0.settle(batch).await
    }

    async fn extend(&self, receipts: &[Receipt]) -> Vec<Result<(), SettleError>> {
        self.0.extend(receipts).await
    }

    async fn stop(&self) {
        self.0.stop().await;
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_settlement_does_not_let_the_holds_of_the_others_lapse() {
    let broker = broker_with(&["1", "14", "27", "40", "53", "66", "79"]);
    let handler = handler_fn(|order: Order| async move {
        tokio::time::sleep(Duration::from_secs(order.id.parse()?)).await;
        Ok(())
    });
    let patient = consumer(handler).timeout(Duration::from_secs(200));
    let _running = broker.start(patient.build(Slow(broker.clone())).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(broker.deliveries(SOURCE), 7, "some came twice");
}
