//! What the suite needs to know of a broker.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use steadfast::{
    Message,
    broker::{Broker, BrokerError, PublishError},
};

/// The consumer groups in which the cases consume. A broker whose groups must exist beforehand, as
/// Pub/Sub's subscriptions, gives both to every [fresh topic](BrokerHarness::fresh_topic).
pub const GROUPS: [&str; 2] = ["conformance-one", "conformance-two"];

/// How the suite reaches a broker, and what it can let go wrong there.
///
/// The methods without a default are the least. The others are powers: what stays at its default
/// cannot be provoked on this broker, and the cases that need it are reported as *not proved*.
#[async_trait]
pub trait BrokerHarness: Send + Sync {
    /// The broker, as a consumer gets it. Each call may give the same one.
    fn broker(&self) -> Arc<dyn Broker>;

    /// Creates a topic or queue that no other case uses, ready to be published to and consumed
    /// from, and returns its name. It must let at least two members of a group work at once: a
    /// topic with partitions needs several.
    ///
    /// `hint` is made of lower-case letters and hyphens. `ordered` asks for order per key, where it
    /// takes another kind of topic, as a FIFO queue.
    async fn fresh_topic(&self, hint: &str, ordered: bool) -> String;

    /// How long a case waits for a condition before it fails, in tokio's time. Longer than any limited
    /// hold whose end the suite shall see, and ten times the [delay](BrokerHarness::delay).
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// The delay from which retries and requeues are made: long beside a round trip, and at most an
    /// eighth of a limited hold. If the broker delays in steps, one of them.
    fn delay(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Publishes a message and waits until the broker has confirmed it.
    async fn publish(&self, topic: &str, message: Message) -> Result<(), PublishError> {
        let publisher = self.broker().publisher().await.map_err(|error| match error {
            BrokerError::Unavailable(error) => PublishError::Unavailable(error),
            error => PublishError::Unavailable(error.into()),
        })?;
        publisher.publish(topic, &message).await
    }

    /// Whether several groups can consume one topic, each of them everything.
    fn supports_groups(&self) -> bool {
        false
    }

    /// What was published to a topic, in order, read by another way than this adapter's own
    /// source. It is asked of dead letter destinations that nobody consumes meanwhile.
    async fn read_all(&self, topic: &str) -> Option<Vec<Message>> {
        let _ = topic;
        None
    }

    /// How many deliveries of a topic are unsettled now, as the broker counts them.
    async fn unsettled(&self, topic: &str) -> Option<usize> {
        let _ = topic;
        None
    }

    /// The name of a topic that does not exist and does not come into being by being used.
    async fn missing_topic(&self) -> Option<String> {
        None
    }

    /// Cuts all connections. They can be made again at once.
    async fn disconnect(&self) -> bool {
        false
    }

    /// Makes the broker unreachable: cuts all connections and lets none be made. Or ends that.
    async fn take_down(&self, down: bool) -> bool {
        let _ = down;
        false
    }

    /// Loses the next ack: the adapter takes it for made, the broker never learns of it.
    async fn lose_next_ack(&self) -> bool {
        false
    }

    /// Makes publishes to this topic fail as those to a destination that is down, or lets them
    /// through again.
    async fn refuse_publishes(&self, topic: &str, refuse: bool) -> bool {
        let _ = (topic, refuse);
        false
    }
}
