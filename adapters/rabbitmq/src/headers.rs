//! The reserved header names of this adapter.
//!
//! What AMQP carries beside headers (properties, exchange, routing key) a handler finds under these
//! names. Of a message that is published under them, the first eight become properties again; the
//! others, on which a broker would act a second time, stay headers.

/// The property `content-type`.
pub const CONTENT_TYPE: &str = "steadfast-amqp-content-type";
/// The property `content-encoding`.
pub const CONTENT_ENCODING: &str = "steadfast-amqp-content-encoding";
/// The property `priority`.
pub const PRIORITY: &str = "steadfast-amqp-priority";
/// The property `correlation-id`.
pub const CORRELATION_ID: &str = "steadfast-amqp-correlation-id";
/// The property `reply-to`.
pub const REPLY_TO: &str = "steadfast-amqp-reply-to";
/// The property `type`.
pub const TYPE: &str = "steadfast-amqp-type";
/// The property `app-id`.
pub const APP_ID: &str = "steadfast-amqp-app-id";
/// The property `cluster-id`.
pub const CLUSTER_ID: &str = "steadfast-amqp-cluster-id";

/// The property `expiration`: a copy that waits, or a dead letter, would be thrown away by it.
pub const EXPIRATION: &str = "steadfast-amqp-expiration";
/// The property `user-id`: the server refuses one that is not the publisher's own.
pub const USER_ID: &str = "steadfast-amqp-user-id";
/// The exchange to which the message was published, if it was not the default one.
pub const EXCHANGE: &str = "steadfast-amqp-exchange";
/// The routing key with which it was published to that exchange.
pub const ROUTING_KEY: &str = "steadfast-amqp-routing-key";

/// The AMQP types of headers that are no strings, as JSON. Each of those headers is given as text; when
/// the message is published again, one whose text has not changed gets its type back.
pub const TYPED: &str = "steadfast-amqp-typed";

/// On the wire only: the key, unless [`RabbitMq::key_header`](crate::RabbitMq::key_header) names
/// another header.
pub(crate) const KEY: &str = "steadfast-key";
/// On the wire only: that there is no payload, which AMQP cannot say.
pub(crate) const TOMBSTONE: &str = "steadfast-tombstone";
/// On the wire only: the names in their order, repeated ones included, which an AMQP table cannot
/// hold.
pub(crate) const ORDER: &str = "steadfast-amqp-order";
/// On the wire only: begins the names of headers on which a broker acts.
pub(crate) const PARKED: &str = "steadfast-amqp-parked-";
/// On the wire only: that the message has waited in one of our queues, so that what the server has
/// written about it is not the producer's.
pub(crate) const WAITED: &str = "steadfast-amqp-waited";

/// Whether a server acts on a header of this name, or writes it itself.
pub(crate) fn is_acted_on(name: &str) -> bool {
    matches!(name, "CC" | "BCC") || is_of_death(name) || is_count(name)
}

/// What the server writes about dead-lettering.
pub(crate) fn is_of_death(name: &str) -> bool {
    name == "x-death" || name.starts_with("x-first-death-") || name.starts_with("x-last-death-")
}

/// What quorum queues write about deliveries.
pub(crate) fn is_count(name: &str) -> bool {
    matches!(name, "x-delivery-count" | "x-acquired-count")
}

/// What is not part of a message as a consumer sees it.
pub(crate) fn is_of_the_wire(name: &str) -> bool {
    matches!(name, KEY | TOMBSTONE | ORDER | WAITED) || name.starts_with(PARKED)
}
