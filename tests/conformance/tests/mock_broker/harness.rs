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
pub struct MockHarness {
    mock: MockBroker,
    broker: Arc<dyn Broker>,
    topics: AtomicU32,
    strict: bool,
    patience: Duration,
    delay: Duration,
}

impl MockHarness {
    /// A mock in virtual time, with these settings.
    pub fn new(settings: fn(MockBroker) -> MockBroker) -> Self {
        Self::around(settings(MockBroker::new()), |mock| Arc::new(mock))
    }

    /// A mock of which the suite gets what becomes of it in your hands.
    pub fn around(mock: MockBroker, wrap: impl FnOnce(MockBroker) -> Arc<dyn Broker>) -> Self {
        Self {
            broker: wrap(mock.clone()),
            mock,
            topics: AtomicU32::new(0),
            strict: false,
            patience: Duration::from_secs(600),
            delay: Duration::from_secs(1),
        }
    }

    /// Topics do not come into being by themselves.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// For a clock that is not paused: a hold must end soon.
    #[must_use]
    pub fn in_real_time(mut self) -> Self {
        self.patience = Duration::from_secs(20);
        self.delay = Duration::from_millis(200);
        self
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
        self.strict.then(|| "no-such-topic".to_owned())
    }

    async fn disconnect(&self) -> bool {
        self.mock.faults().disconnect();
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
