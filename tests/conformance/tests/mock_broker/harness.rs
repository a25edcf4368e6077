//! The harness of the mock broker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use steadfast::{Message, broker::Broker};
use steadfast_conformance::broker::BrokerHarness;
use steadfast_mock::MockBroker;

/// A mock broker of its own for each case.
pub(crate) struct MockHarness {
    mock: MockBroker,
    broker: Arc<dyn Broker>,
    topics: AtomicU32,
    pub(crate) patience: Duration,
    pub(crate) delay: Duration,
}

impl MockHarness {
    /// A mock of which the suite gets what becomes of it in your hands.
    pub(crate) fn around(
        mock: MockBroker,
        wrap: impl FnOnce(MockBroker) -> Arc<dyn Broker>,
    ) -> Self {
        Self {
            broker: wrap(mock.clone()),
            mock,
            topics: AtomicU32::new(0),
            patience: Duration::from_secs(600),
            delay: Duration::from_secs(1),
        }
    }
}

#[async_trait]
impl BrokerHarness for MockHarness {
    fn broker(&self) -> Arc<dyn Broker> {
        Arc::clone(&self.broker)
    }

    async fn fresh_topic(&self, hint: &str, _ordered: bool) -> String {
        let name = format!("{hint}-{}", self.topics.fetch_add(1, Ordering::Relaxed));
        self.mock.create_topic(&name);
        name
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn delay(&self) -> Duration {
        self.delay
    }

    fn supports_groups(&self) -> bool {
        true
    }

    async fn read_all(&self, topic: &str) -> Option<Vec<Message>> {
        Some(self.mock.messages(topic))
    }

    async fn unsettled(&self, topic: &str) -> Option<usize> {
        Some(self.mock.unsettled(topic))
    }

    async fn missing_topic(&self) -> Option<String> {
        let name = "no-such-topic";
        let publisher = self.mock.publisher().await.ok()?;
        publisher.check(name).await.is_err().then(|| name.to_owned())
    }

    async fn disconnect(&self) -> bool {
        self.mock.faults().disconnect();
        true
    }

    async fn take_down(&self, down: bool) -> bool {
        let faults = self.mock.faults();
        if down {
            faults.refuse_connections(u32::MAX).disconnect();
        } else {
            faults.calm();
        }
        true
    }

    async fn lose_next_ack(&self) -> bool {
        self.mock.faults().lose_acks(1);
        true
    }

    async fn refuse_publishes(&self, topic: &str, refuse: bool) -> bool {
        if refuse {
            self.mock.faults().take_down(topic);
        } else {
            self.mock.faults().bring_up(topic);
        }
        true
    }
}
