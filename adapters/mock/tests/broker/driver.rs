//! A hand that does what a consumer does, one step at a time.

use std::{sync::Arc, time::Duration};

use steadfast::{
    Delivery, Message, Receipt,
    broker::{Broker, BrokerError, Demand, Settle, SettleError, Settlement, Source, Subscription},
};
use steadfast_mock::MockBroker;

pub(crate) struct Session(pub(crate) Arc<dyn Source>);

impl Session {
    /// Subscribes to `orders` as the group `billing`.
    pub(crate) async fn open(broker: &MockBroker) -> Self {
        Self::with(broker, Subscription::new("orders", "billing")).await
    }

    pub(crate) async fn with(broker: &MockBroker, subscription: Subscription) -> Self {
        Self(broker.subscribe(&subscription).await.unwrap())
    }

    /// Waits for at least one delivery, and takes at most `most`.
    pub(crate) async fn take(&self, most: usize) -> Vec<Delivery> {
        self.try_take(most).await.unwrap()
    }

    pub(crate) async fn try_take(&self, most: usize) -> Result<Vec<Delivery>, BrokerError> {
        self.0.receive(Demand::new(most, usize::MAX)).await
    }

    pub(crate) async fn one(&self) -> Delivery {
        self.take(1).await.remove(0)
    }

    /// Expects that nothing can be had now.
    pub(crate) async fn expect_nothing(&self) {
        let received = tokio::time::timeout(Duration::ZERO, self.take(64)).await;
        assert!(received.is_err(), "received {:?}", received.unwrap());
    }

    pub(crate) async fn ack(&self, delivery: Delivery) -> Result<(), SettleError> {
        self.settle(delivery, Settlement::Ack).await
    }

    pub(crate) async fn release(&self, delivery: Delivery) -> Result<(), SettleError> {
        self.settle(delivery, Settlement::Release).await
    }

    pub(crate) async fn requeue(&self, delivery: Delivery, secs: u64) -> Result<(), SettleError> {
        let delay = Duration::from_secs(secs);
        self.settle(delivery, Settlement::Requeue { delay, counted: true }).await
    }

    pub(crate) async fn settle(
        &self,
        delivery: Delivery,
        settlement: Settlement,
    ) -> Result<(), SettleError> {
        self.0.settle(&[Settle::new(delivery, settlement)]).await.remove(0)
    }

    pub(crate) async fn extend(&self, receipt: Receipt) -> Result<(), SettleError> {
        self.0.extend(&[receipt]).await.remove(0)
    }
}

/// Publishes messages whose payloads are these words.
pub(crate) fn publish(broker: &MockBroker, words: &[&str]) {
    for word in words {
        broker.publish("orders", Message::new(word.to_string()));
    }
}

/// Publishes messages of one key.
pub(crate) fn publish_keyed(broker: &MockBroker, key: &str, words: &[&str]) {
    for word in words {
        broker.publish("orders", Message::new(word.to_string()).with_key(key.to_string()));
    }
}

pub(crate) fn word(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.payload.clone().unwrap().into()).unwrap()
}

pub(crate) fn words(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(word).collect()
}

pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

pub(crate) fn assert_stale(answer: Result<(), SettleError>) {
    assert!(matches!(answer, Err(SettleError::Stale)), "{answer:?}");
}
