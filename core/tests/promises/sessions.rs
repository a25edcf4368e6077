//! A broker of a user's own that drops its sessions, or does not answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use steadfast::{
    Message,
    broker::{Broker, BrokerError, Publish, PublishError, Source, Subscription},
    handler_fn,
};
use steadfast_mock::MockBroker;

use crate::support::{Order, SOURCE, broker_with, consumer};

#[derive(Clone)]
struct Fickle {
    mock: MockBroker,
    drops: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    /// Checks of the destination that are not answered.
    silent: Arc<AtomicUsize>,
}

impl Fickle {
    fn new(mock: MockBroker) -> Self {
        Self { mock, drops: Arc::default(), opened: Arc::default(), silent: Arc::default() }
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Broker for Fickle {
    fn system(&self) -> &'static str {
        "fickle"
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        let source = self.mock.subscribe(subscription).await?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        if self.drops.load(Ordering::Relaxed) {
            self.mock.faults().disconnect();
        }
        Ok(source)
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Publish for Fickle {
    async fn publish(&self, _: &str, _: &Message) -> Result<(), PublishError> {
        Err(PublishError::Unavailable("nothing is published here".into()))
    }

    async fn check(&self, _: &str) -> Result<(), BrokerError> {
        let fewer = |silent: usize| silent.checked_sub(1);
        match self.silent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer) {
            Ok(_) => std::future::pending().await,
            Err(_) => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_that_are_lost_at_once_are_opened_ever_more_rarely() {
    let broker = Fickle::new(broker_with(&["a"]));
    broker.drops.store(true, Ordering::Relaxed);
    let built = consumer(handler_fn(|_: Order| async { Ok(()) })).build(broker.clone()).unwrap();
    let health = built.health();
    let _running = broker.mock.start(built);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let opened = broker.opened();
    assert!((10..150).contains(&opened), "{opened} sessions in ten minutes");

    broker.drops.store(false, Ordering::Relaxed);
    broker.mock.settled(SOURCE).await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    broker.mock.faults().disconnect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(health.is_ready(), "a session that has lived is followed by the next at once");
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_does_not_answer_at_start_is_asked_again() {
    let broker = Fickle::new(broker_with(&["a"]));
    broker.silent.store(2, Ordering::Relaxed);
    let built = consumer(handler_fn(|_: Order| async { Ok(()) })).build(broker.clone()).unwrap();
    let _running = broker.mock.start(built);
    broker.mock.settled(SOURCE).await;
}
