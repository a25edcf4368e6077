//! A topic of one case's own.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use steadfast::{
    Message,
    broker::{Capabilities, Hold, PublishError, Subscription},
};

use super::{BrokerHarness, GROUPS, NotProved, Session, session::text_of, wait::within};

/// A topic of one case's own, and what was published to it.
pub(crate) struct Topic<'h> {
    pub(crate) harness: &'h dyn BrokerHarness,
    pub(crate) name: String,
    ordered: bool,
    keys: Mutex<BTreeSet<Option<Bytes>>>,
}

impl<'h> Topic<'h> {
    pub(crate) async fn fresh(harness: &'h dyn BrokerHarness, hint: &str) -> Self {
        Self::create(harness, hint, false).await
    }

    /// A topic whose source keeps order per key.
    pub(crate) async fn ordered(
        harness: &'h dyn BrokerHarness,
        hint: &str,
    ) -> Result<Self, NotProved> {
        let topic = Self::create(harness, hint, true).await;
        match topic.capabilities().await.ordered {
            true => Ok(topic),
            false => NotProved::because("the source keeps no order"),
        }
    }

    pub(crate) async fn create(harness: &'h dyn BrokerHarness, hint: &str, ordered: bool) -> Self {
        let name = harness.fresh_topic(hint, ordered).await;
        Self { harness, name, ordered, keys: Mutex::default() }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.harness.patience()
    }

    pub(crate) fn delay(&self) -> Duration {
        self.harness.delay()
    }

    /// Publishes a message of this text, under a key of its own.
    pub(crate) async fn publish(&self, text: &str) {
        self.publish_keyed(text, text).await;
    }

    pub(crate) async fn publish_all(&self, texts: &[&str]) {
        for text in texts {
            self.publish(text).await;
        }
    }

    pub(crate) async fn publish_keyed(&self, key: &str, text: &str) {
        let message = Message::new(text.to_owned()).with_key(key.to_owned());
        self.publish_message(message).await;
    }

    pub(crate) async fn publish_message(&self, message: Message) {
        let published = self.try_publish(message).await;
        published.unwrap_or_else(|error| panic!("the harness cannot publish: {error}"));
    }

    pub(crate) async fn try_publish(&self, message: Message) -> Result<(), PublishError> {
        self.keys().insert(message.key.clone());
        let publishing = self.harness.publish(&self.name, message);
        within(self.patience(), "the broker to confirm a message", publishing).await
    }

    pub(crate) fn subscription(&self, group: &str) -> Subscription {
        let mut subscription = Subscription::new(&self.name, group).max_messages(1000);
        subscription.ordered = self.ordered;
        subscription
    }

    /// A session of the first group.
    pub(crate) async fn session(&self) -> Session<'_> {
        self.session_of(GROUPS[0]).await
    }

    pub(crate) async fn session_of(&self, group: &str) -> Session<'_> {
        Session::open(self, self.subscription(group)).await
    }

    pub(crate) async fn capabilities(&self) -> Capabilities {
        let session = self.session().await;
        let capabilities = session.source.capabilities();
        session.close().await;
        capabilities
    }

    /// Expects that every message has been settled for good: of each key, the next to come is one
    /// that is published now; and when the hold of those has ended, which began after all others,
    /// nothing else has come either.
    pub(crate) async fn assert_nothing_is_left(&self) {
        const LAST: &str = "published last, under the key ";
        let keys = self.keys().clone();
        let lasts: Vec<(String, Message)> = keys
            .into_iter()
            .map(|key| {
                let shown = key.as_ref().map_or("none".into(), |key| format!("{key:?}"));
                let text = format!("{LAST}{shown}");
                let mut message = Message::new(text.clone());
                message.key = key;
                (text, message)
            })
            .collect();
        for (_, message) in &lasts {
            self.publish_message(message.clone()).await;
        }
        let mut session = self.session().await;
        let again = match limited_hold(&session.source.capabilities()) {
            Some(hold) if hold <= self.patience() => 1,
            _ => 0,
        };
        for time in 0..=again {
            let mut missing: BTreeSet<&str> = lasts.iter().map(|(text, _)| text.as_str()).collect();
            while !missing.is_empty() {
                let delivery =
                    session.next_within(self.patience() * 2).await.unwrap_or_else(|| {
                        panic!("messages published last did not come: {missing:?}");
                    });
                let text = text_of(&delivery.message);
                assert!(text.starts_with(LAST), "{text:?} was settled for good, and comes again");
                missing.remove(text.as_str());
                if time == again {
                    session.ack(delivery).await;
                }
            }
        }
        session.close().await;
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, BTreeSet<Option<Bytes>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a delivery that nobody extends is held, if not as long as its session.
pub(crate) fn limited_hold(capabilities: &Capabilities) -> Option<Duration> {
    match capabilities.hold {
        Hold::Fixed(hold) => Some(hold),
        Hold::Extendable { each, total } => Some(total.map_or(each, |total| each.min(total))),
        _ => None,
    }
}
