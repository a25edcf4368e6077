//! A broker that tells how often it was out of reach.

use std::sync::Arc;

use async_trait::async_trait;
use steadfast::{
    Message,
    broker::{Broker, BrokerError, Publish, PublishError, Source, Subscription},
};
use tokio::sync::watch;

/// The harness's broker, between it and one consumer. Counts the calls that begin something and
/// fail.
pub(crate) struct Watched {
    broker: Arc<dyn Broker>,
    failures: Failures,
}

/// How many calls have failed. Clones count together.
#[derive(Clone)]
pub(crate) struct Failures(Arc<watch::Sender<usize>>);

impl Watched {
    pub(crate) fn new(broker: Arc<dyn Broker>) -> Self {
        Self { broker, failures: Failures(Arc::new(watch::Sender::new(0))) }
    }

    pub(crate) fn failures(&self) -> Failures {
        self.failures.clone()
    }
}

impl Failures {
    /// Waits until there have been so many. Cancel safe.
    pub(crate) async fn reach(&self, number: usize) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|failures| *failures >= number).await;
    }

    fn count<T, E>(&self, answer: Result<T, E>) -> Result<T, E> {
        self.0.send_modify(|failures| *failures += usize::from(answer.is_err()));
        answer
    }
}

#[async_trait]
impl Broker for Watched {
    fn system(&self) -> &'static str {
        self.broker.system()
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        self.failures.count(self.broker.subscribe(subscription).await)
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        let publisher = self.failures.count(self.broker.publisher().await)?;
        Ok(Arc::new(WatchedPublisher { publisher, failures: self.failures.clone() }))
    }
}

struct WatchedPublisher {
    publisher: Arc<dyn Publish>,
    failures: Failures,
}

#[async_trait]
impl Publish for WatchedPublisher {
    async fn publish(&self, destination: &str, message: &Message) -> Result<(), PublishError> {
        self.publisher.publish(destination, message).await
    }

    async fn check(&self, destination: &str) -> Result<(), BrokerError> {
        self.failures.count(self.publisher.check(destination).await)
    }
}
