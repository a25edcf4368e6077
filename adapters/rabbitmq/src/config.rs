//! How to reach the broker, and what it is asked for.

use std::{fmt, str::FromStr, time::Duration};

use lapin::uri::{AMQPScheme, AMQPUri};

use crate::{RabbitMq, queue::Queue, waiting::Tiers};

/// Settings.
///
/// | setting | default | |
/// |---|---|---|
/// | [`declare`](Self::declare) | nothing | queues to declare; all others must be there |
/// | [`waits`](Self::waits) | 1 s to 1 h in nine steps | the delays for which there are waiting queues |
/// | [`consumer_timeout`](Self::consumer_timeout) | 30 min | the broker's patience with an unsettled delivery |
/// | [`deadline`](Self::deadline) | 10 s | the longest that one call may take |
/// | [`heartbeat`](Self::heartbeat) | 10 s | after twice this long without a sign the connection is lost |
/// | [`publishers_set_ids`](Self::publishers_set_ids) | no | whether every message has a `message-id` of its publisher's |
/// | [`key_header`](Self::key_header) | `steadfast-key` | the header that holds the key of a message |
/// | [`policies_dead_letter`](Self::policies_dead_letter) | no | whether a policy gives the sources a dead-letter exchange |
/// | [`delivery_limit_by_policy`](Self::delivery_limit_by_policy) | none | the delivery limit that a policy sets |
/// | [`unlimited_deliveries`](Self::unlimited_deliveries) | no | whether no source has a delivery limit that cannot be seen |
/// | [`max_message_bytes`](Self::max_message_bytes) | the server's default | the largest payload that the server takes |
impl RabbitMq {
    /// Declares this queue, durable, whenever the connection for publishing is made: before the first
    /// session or publisher, and again after that connection was lost. A queue that is deleted
    /// meanwhile is missed, and not made again in silence. One that is there with other arguments is
    /// an error that names the difference.
    #[must_use]
    pub fn declare(self, queue: Queue) -> Self {
        self.configure(|config| config.queues.push(queue))
    }

    /// The delays for which each source gets a waiting queue, `<source>.steadfast.wait.<delay>`. A
    /// retry waits in the one that is just long enough; what is longer than all of them the
    /// consumer holds unsettled. None: every wait is held.
    ///
    /// # Errors
    /// When one of them is shorter than a millisecond or longer than 49 days, the server's bound.
    pub fn waits(self, delays: impl IntoIterator<Item = Duration>) -> Result<Self, ConfigError> {
        let tiers = Tiers::new(delays)?;
        Ok(self.configure(|config| config.waits = tiers))
    }

    /// The server's `consumer_timeout`: for how long it lets a delivery be unsettled before it
    /// closes the channel. `None` when it is switched off. A queue's `x-consumer-timeout` goes
    /// before it.
    ///
    /// Source: <https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout>.
    #[must_use]
    pub fn consumer_timeout(self, timeout: Option<Duration>) -> Self {
        self.configure(|config| config.consumer_timeout = timeout)
    }

    /// The longest that one call to the server may take: to connect, to declare, to settle, to
    /// confirm. What takes longer has lost its connection, unless the server has said that it takes
    /// nothing for a while.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        self.configure(|config| config.deadline = deadline)
    }

    /// How often both sides say that they are there, in whole seconds, at least one.
    #[must_use]
    pub fn heartbeat(self, every: Duration) -> Self {
        let seconds = u16::try_from(every.as_secs().max(1)).unwrap_or(u16::MAX);
        self.configure(|config| config.uri.query.heartbeat = Some(seconds))
    }

    /// Promises that every publisher sets the property `message-id`, to an id that stays the same
    /// when it publishes a message again. Deduplication by message id needs it.
    #[must_use]
    pub fn publishers_set_ids(self) -> Self {
        self.configure(|config| config.publishers_set_ids = true)
    }

    /// The header that holds the key of a message. Its value is also what
    /// [`OrderedBy::Key`](steadfast::OrderedBy::Key) orders by.
    #[must_use]
    pub fn key_header(self, name: impl Into<String>) -> Self {
        self.configure(|config| config.key_header = name.into())
    }

    /// Promises that a policy gives every source with a delivery limit a dead-letter exchange, and the
    /// strategy `at-least-once` with the overflow `reject-publish`. AMQP does not show policies; without
    /// this promise and without the argument `x-dead-letter-exchange`, a queue that has a delivery limit
    /// is refused, because the server would drop messages.
    #[must_use]
    pub fn policies_dead_letter(self) -> Self {
        self.configure(|config| config.policies_dead_letter = true)
    }

    /// The delivery limit that a policy sets for the sources, which AMQP does not show.
    #[must_use]
    pub fn delivery_limit_by_policy(self, limit: u32) -> Self {
        self.configure(|config| config.policy_limit = Some(limit))
    }

    /// Promises that no source has a delivery limit but what its own arguments say: where those cannot
    /// be read, for want of the right to configure the queue, and where a policy of -1 switches off the
    /// limit that RabbitMQ 4 sets by itself. Without it such a queue is refused.
    #[must_use]
    pub fn unlimited_deliveries(self) -> Self {
        self.configure(|config| config.unlimited_deliveries = true)
    }

    /// The server's `max_message_size`: without this setting 16 MiB from RabbitMQ 4.0 on, 128 MiB
    /// before, as the server's own defaults are.
    #[must_use]
    pub fn max_message_bytes(self, bytes: usize) -> Self {
        self.configure(|config| config.max_message_bytes = Some(bytes))
    }
}

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) uri: AMQPUri,
    pub(crate) queues: Vec<Queue>,
    pub(crate) waits: Tiers,
    pub(crate) consumer_timeout: Option<Duration>,
    pub(crate) deadline: Duration,
    pub(crate) publishers_set_ids: bool,
    pub(crate) key_header: String,
    pub(crate) policies_dead_letter: bool,
    pub(crate) policy_limit: Option<u32>,
    pub(crate) unlimited_deliveries: bool,
    pub(crate) max_message_bytes: Option<usize>,
}

/// Bytes of a frame in which the headers of any dead letter find room, once they are cut.
pub(crate) const LEAST_FRAME: u32 = 16 << 10;

impl Config {
    pub(crate) fn new(url: &str) -> Result<Self, ConfigError> {
        let mut uri = AMQPUri::from_str(url).map_err(|_| ConfigError::Url)?;
        if uri.scheme == AMQPScheme::AMQPS && !cfg!(feature = "tls") {
            return Err(ConfigError::NoTls);
        }
        // A path of `/` alone means the virtual host without a name, which nobody has.
        if uri.vhost.is_empty() {
            uri.vhost = "/".into();
        }
        // Nothing else would tell a consumer that waits for messages of a connection that is dead.
        if uri.query.heartbeat == Some(0) {
            return Err(ConfigError::Heartbeat);
        }
        uri.query.heartbeat.get_or_insert(10);
        // Where nobody bounds it, the client sets aside 64 frames of 4 GiB.
        let frame_max = uri.query.frame_max.filter(|bytes| *bytes > 0).unwrap_or(131_072);
        if frame_max < LEAST_FRAME {
            return Err(ConfigError::FrameMax(frame_max));
        }
        uri.query.frame_max = Some(frame_max);
        Ok(Self {
            uri,
            queues: Vec::new(),
            waits: Tiers::default(),
            consumer_timeout: Some(Duration::from_secs(30 * 60)),
            deadline: Duration::from_secs(10),
            publishers_set_ids: false,
            key_header: crate::headers::KEY.into(),
            policies_dead_letter: false,
            policy_limit: None,
            unlimited_deliveries: false,
            max_message_bytes: None,
        })
    }

    /// Host, port and virtual host, for errors.
    pub(crate) fn address(&self) -> String {
        let authority = &self.uri.authority;
        format!("{}:{}, virtual host `{}`", authority.host, authority.port, self.uri.vhost)
    }
}

/// Shows no credentials.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("address", &self.address())
            .field("queues", &self.queues)
            .field("waits", &self.waits)
            .field("consumer_timeout", &self.consumer_timeout)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It is not repeated here, since it holds a password.
    #[error("the URL is not of the form amqp://user:password@host:port/virtual-host")]
    Url,
    /// The crate was built without TLS.
    #[error("amqps:// needs the feature `tls` of steadfast-rabbitmq")]
    NoTls,
    /// Without heartbeats a dead connection is not noticed.
    #[error(
        "heartbeat=0 in the URL switches heartbeats off, and a dead connection would not be noticed: \
         leave it out, or set at least 1 (seconds)"
    )]
    Heartbeat,
    /// The headers of a dead letter would not find room.
    #[error(
        "frame_max={0} in the URL is too small for the headers of a dead letter: leave it out, or set at \
         least {LEAST_FRAME} (bytes)"
    )]
    FrameMax(u32),
    /// A delay that no waiting queue can keep.
    #[error("waits: {0:?} is not between 1 ms and 49 days")]
    Wait(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_errors_nor_debug_show_the_password() {
        let broker = RabbitMq::new("amqp://billing:hunter2@rabbit.example:5673/orders").unwrap();
        let shown = format!("{broker:?}");
        assert!(shown.contains("rabbit.example:5673") && !shown.contains("hunter2"), "{shown}");
        let refused = RabbitMq::new("amqp://billing:hunter2@[::1").unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("hunter2"));
    }

    #[test]
    fn a_path_of_a_slash_alone_means_the_default_virtual_host() {
        for url in ["amqp://rabbit.example", "amqp://rabbit.example/", "amqp://rabbit.example/%2f"]
        {
            assert_eq!(Config::new(url).unwrap().uri.vhost, "/", "{url}");
        }
    }

    #[test]
    fn heartbeats_cannot_be_switched_off() {
        let refused = RabbitMq::new("amqp://rabbit.example/%2f?heartbeat=0").unwrap_err();
        assert_eq!(refused, ConfigError::Heartbeat);
        assert_eq!(Config::new("amqp://rabbit.example").unwrap().uri.query.heartbeat, Some(10));
    }

    #[test]
    fn a_frame_has_a_bound_whatever_the_server_says() {
        for (query, bytes) in
            [("", 131_072), ("?frame_max=0", 131_072), ("?frame_max=16384", 16_384)]
        {
            let config = Config::new(&format!("amqp://rabbit.example/%2f{query}")).unwrap();
            assert_eq!(config.uri.query.frame_max, Some(bytes), "{query}");
        }
        let small = RabbitMq::new("amqp://rabbit.example/%2f?frame_max=8192").unwrap_err();
        assert_eq!(small, ConfigError::FrameMax(8192));
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn tls_that_is_not_built_in_is_said_so() {
        assert_eq!(RabbitMq::new("amqps://rabbit.example").unwrap_err(), ConfigError::NoTls);
    }
}
