//! One session on the raw contract, and waiting for what becomes of it.

use std::{collections::VecDeque, fmt::Debug, sync::Arc, time::Duration};

use steadfast::{
    Delivery, Message,
    broker::{
        Broker as _, BrokerError, Demand, Settle, SettleError, Settlement, Source, Subscription,
    },
};
use steadfast_kafka::KafkaBroker;
use tokio::time::{sleep, timeout};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A source that is read one delivery at a time.
pub(crate) struct Session {
    pub(crate) source: Arc<dyn Source>,
    inbox: VecDeque<Delivery>,
}

impl Session {
    pub(crate) async fn open(broker: &KafkaBroker, topic: &str, group: &str) -> Self {
        Self::open_as(broker, &Subscription::new(topic, group)).await
    }

    /// Tries until it is there, as a consumer does: partitions of a new topic have no leader yet.
    pub(crate) async fn open_as(broker: &KafkaBroker, subscription: &Subscription) -> Self {
        let opening = async {
            loop {
                match Self::try_open_as(broker, subscription).await {
                    Err(BrokerError::Unavailable(_)) => sleep(Duration::from_millis(100)).await,
                    opened => return opened.expect("it can be subscribed to"),
                }
            }
        };
        timeout(PATIENCE, opening).await.expect("waited in vain for a session")
    }

    /// Why it cannot be subscribed to, or receives nothing.
    pub(crate) async fn refused(broker: &KafkaBroker, topic: &str, group: &str) -> BrokerError {
        let subscription = Subscription::new(topic, group);
        let trying = async {
            loop {
                let refused = match Self::try_open_as(broker, &subscription).await {
                    Ok(mut session) => session.try_next().await.expect_err("it is not fit"),
                    Err(error) => error,
                };
                match refused {
                    BrokerError::Unavailable(_) => sleep(Duration::from_millis(100)).await,
                    refused => return refused,
                }
            }
        };
        timeout(PATIENCE, trying).await.expect("waited in vain for a refusal")
    }

    async fn try_open_as(
        broker: &KafkaBroker,
        subscription: &Subscription,
    ) -> Result<Self, BrokerError> {
        let source = broker.subscribe(subscription).await?;
        Ok(Self { source, inbox: VecDeque::new() })
    }

    pub(crate) async fn next(&mut self) -> Delivery {
        self.try_next().await.expect("the session lives")
    }

    pub(crate) async fn try_next(&mut self) -> Result<Delivery, BrokerError> {
        let receiving = async {
            loop {
                if let Some(delivery) = self.inbox.pop_front() {
                    return Ok(delivery);
                }
                self.inbox.extend(self.source.receive(Demand::new(100, 1 << 20)).await?);
            }
        };
        timeout(PATIENCE, receiving).await.expect("waited in vain for a delivery")
    }

    pub(crate) async fn try_ack(&self, delivery: Delivery) -> Result<(), SettleError> {
        let settle = Settle::new(delivery, Settlement::Ack);
        self.source.settle(&[settle]).await.remove(0)
    }

    pub(crate) async fn ack(&self, delivery: Delivery) {
        self.try_ack(delivery).await.expect("it is ours");
    }

    pub(crate) async fn close(self) {
        self.source.stop().await;
        self.source.close().await;
    }
}

/// Asks until the answer is yes.
pub(crate) async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !ask().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

/// Asks until the answer is this one.
pub(crate) async fn until_is<T: PartialEq + Debug>(expected: T, mut ask: impl AsyncFnMut() -> T) {
    let mut last = None;
    let asking = async {
        loop {
            let answer = ask().await;
            if answer == expected {
                return;
            }
            last = Some(answer);
            sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = timeout(PATIENCE, asking).await.is_ok();
    assert!(in_time, "waited in vain for {expected:?}: it is {last:?}");
}

pub(crate) fn text(message: &Message) -> String {
    String::from_utf8(message.payload.clone().unwrap_or_default().to_vec()).expect("text")
}

/// The partition and the offset that a delivery came from.
pub(crate) fn place(delivery: &Delivery) -> (i32, i64) {
    let position = delivery.origin.position.as_deref().expect("Kafka has positions");
    let (partition, offset) = position.split_once('@').expect("partition@offset");
    (partition.parse().expect("a number"), offset.parse().expect("a number"))
}
