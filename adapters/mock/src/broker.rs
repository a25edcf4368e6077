//! The broker itself: topics, publishing from tests, sessions.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use rand::{SeedableRng, rngs::StdRng};
use serde::Serialize;
use steadfast::{
    Message,
    broker::{Broker, BrokerError, Publish, Source, Subscription},
};

use crate::{publish::MockPublisher, source::MockSource, state::Shared};

/// A broker in memory and virtual time. Clones share everything.
///
/// It is as strict as a real one: holds run out, stale receipts settle nothing, a publish can be
/// refused. All its waiting is tokio's, so a paused clock (`#[tokio::test(start_paused = true)]`)
/// makes hours pass at once; what it does at random follows from its seed.
#[derive(Clone)]
pub struct MockBroker {
    pub(crate) shared: Arc<Shared>,
}

impl MockBroker {
    /// A broker without topics: unordered, delays of any length, holds of 30 seconds that can be
    /// extended without end.
    ///
    /// Make it inside of the test's runtime, so that it sees the runtime's clock.
    #[allow(clippy::new_without_default, reason = "settings follow `new`; a default says nothing")]
    pub fn new() -> Self {
        Self { shared: Shared::new() }
    }

    /// Seeds what the broker does at random. 0 without this setting.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.shared.update(|state, _| state.rng = StdRng::seed_from_u64(seed));
        self
    }

    /// Creates a topic; nothing happens if there is one. Needed with
    /// [`MockBroker::strict_topics`] only.
    pub fn create_topic(&self, name: &str) {
        self.shared.update(|state, _| state.create_topic(name));
    }

    /// Publishes a message, as a producer does whom no fault concerns, and returns its id.
    ///
    /// # Panics
    /// When the message is too large for the broker, or the topic is missing and topics do not come
    /// into being by themselves.
    #[track_caller]
    pub fn publish(&self, topic: &str, message: Message) -> String {
        self.append(topic, None, message)
    }

    /// Publishes under an id of the producer's choice: twice the same id is a producer that tried
    /// again.
    ///
    /// # Panics
    /// As [`MockBroker::publish`].
    #[track_caller]
    pub fn publish_as(&self, id: &str, topic: &str, message: Message) -> String {
        self.append(topic, Some(id.to_owned()), message)
    }

    /// Publishes a value as JSON, without a key, and returns the message's id.
    ///
    /// # Panics
    /// When the value cannot be written as JSON, and as [`MockBroker::publish`].
    #[track_caller]
    pub fn publish_json<T: Serialize + ?Sized>(&self, topic: &str, value: &T) -> String {
        match serde_json::to_vec(value) {
            Ok(json) => self.publish(topic, Message::new(json)),
            Err(_) => panic!("the value for `{topic}` cannot be written as JSON"),
        }
    }

    #[track_caller]
    fn append(&self, topic: &str, id: Option<String>, message: Message) -> String {
        let size = message.size();
        let published = self.shared.update(|state, now| {
            if !state.config.fits(size) {
                return Err(format!("a message of {size} bytes is too large for this broker"));
            }
            state.publish(topic, id, message, now).ok_or_else(|| crate::state::missing(topic))
        });
        published.unwrap_or_else(|complaint| panic!("{complaint}"))
    }
}

#[async_trait]
impl Broker for MockBroker {
    fn system(&self) -> &'static str {
        "mock"
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        let session = self.shared.update(|state, _| {
            if state.plan.refuses_connection() {
                return Err(BrokerError::unavailable("the connection is refused"));
            }
            state.open(subscription)
        })?;
        self.shared.clock.wind(&self.shared);
        Ok(Arc::new(MockSource::new(Arc::clone(&self.shared), session)))
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        Ok(Arc::new(MockPublisher::new(Arc::clone(&self.shared))))
    }
}

impl fmt::Debug for MockBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics: Vec<String> =
            self.shared.with(|state, _| state.topics.keys().cloned().collect());
        f.debug_struct("MockBroker").field("topics", &topics).finish_non_exhaustive()
    }
}
