//! Queues to be declared.

use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

/// A durable queue to be declared, for [`RabbitMq::declare`](crate::RabbitMq::declare).
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    pub(crate) name: String,
    pub(crate) arguments: FieldTable,
}

impl Queue {
    /// A replicated queue, without a limit of deliveries: the consumer counts attempts itself, and
    /// the server would drop, or dead-letter without a word about the reason, what stop and busy
    /// answers have brought to its limit.
    pub fn quorum(name: impl Into<String>) -> Self {
        Self::of_type(name, "quorum").argument("x-delivery-limit", AMQPValue::LongInt(-1))
    }

    /// A queue on one node.
    pub fn classic(name: impl Into<String>) -> Self {
        Self::of_type(name, "classic")
    }

    /// One consumer at a time gets the messages, the others stand by. Order per key needs it.
    #[must_use]
    pub fn single_active_consumer(self) -> Self {
        self.argument("x-single-active-consumer", AMQPValue::Boolean(true))
    }

    /// After so many deliveries that failed the server takes a message away and puts it into the
    /// queue `dead_letter`. For quorum queues.
    ///
    /// Source: <https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>.
    #[must_use]
    pub fn delivery_limit(self, limit: u32, dead_letter: &str) -> Self {
        self.argument("x-delivery-limit", AMQPValue::LongLongInt(limit.into()))
            .argument("x-dead-letter-exchange", text(""))
            .argument("x-dead-letter-routing-key", text(dead_letter))
            .argument("x-dead-letter-strategy", text("at-least-once"))
            .argument("x-overflow", text("reject-publish"))
    }

    /// The queue takes no more than so many messages; what is published beyond is refused.
    #[must_use]
    pub fn max_length(self, messages: u32) -> Self {
        self.argument("x-max-length", AMQPValue::LongLongInt(messages.into()))
            .argument("x-overflow", text("reject-publish"))
    }

    fn of_type(name: impl Into<String>, kind: &str) -> Self {
        Self { name: name.into(), arguments: FieldTable::default() }
            .argument("x-queue-type", text(kind))
    }

    fn argument(mut self, name: &str, value: AMQPValue) -> Self {
        self.arguments.insert(ShortString::from(name), value);
        self
    }
}

pub(crate) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}
