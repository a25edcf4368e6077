//! What the broker is able to do: settings, made before its first use.

use std::time::Duration;

use steadfast::broker::{Capabilities, Hold};

use crate::MockBroker;

/// Settings. Each takes effect for the whole broker.
///
/// # Panics
/// All of them panic when the broker has been used: a subscription reads its capabilities once.
impl MockBroker {
    /// How long a delivery may stay unsettled before it comes again; an extension counts anew from
    /// its own time. 30 seconds without this setting.
    #[must_use]
    pub fn visibility(self, each: Duration) -> Self {
        self.configure(|config| config.hold = Hold::Extendable { each, total: config.total() })
    }

    /// The longest hold of one delivery, all extensions included, as the 12 hours of SQS.
    #[must_use]
    pub fn visibility_in_total(self, total: Duration) -> Self {
        self.configure(|config| {
            config.hold = Hold::Extendable { each: config.each(), total: Some(total) };
        })
    }

    /// A hold of this length that cannot be extended, as RabbitMQ's consumer timeout.
    #[must_use]
    pub fn fixed_hold(self, hold: Duration) -> Self {
        self.configure(|config| config.hold = Hold::Fixed(hold))
    }

    /// A hold as long as the session, as in RabbitMQ without a consumer timeout.
    #[must_use]
    pub fn unlimited_hold(self) -> Self {
        self.configure(|config| config.hold = Hold::Unlimited)
    }

    /// Messages of one key come in the order of publishing, and to one session at a time. Messages
    /// without a key are in no order. A message that waits, or that comes again, keeps back what
    /// was published behind it under its key; when a hold runs out, deliveries behind it in its key
    /// become stale too and come again.
    #[must_use]
    pub fn ordered(self) -> Self {
        self.configure(|config| config.ordered = true)
    }

    /// The longest delay that a requeue keeps exactly; a longer one is cut to it. Without this
    /// setting there is no such limit.
    #[must_use]
    pub fn max_delay(self, longest: Duration) -> Self {
        self.configure(|config| config.delays = Delays::Native(longest))
    }

    /// A requeue with a delay makes a confirmed copy that comes after the delay, and then acks the
    /// original, as an adapter with waiting queues does. The copy stands at the end of the queue,
    /// has a position of its own, and a delivery count of its own. Its destination is
    /// `<topic>.retry`, which takes the faults of a topic.
    #[must_use]
    pub fn delays_by_copy(self) -> Self {
        self.configure(|config| config.delays = Delays::ByCopy)
    }

    /// A requeue with a delay comes again at once.
    #[must_use]
    pub fn without_delay(self) -> Self {
        self.configure(|config| config.delays = Delays::Never)
    }

    /// Deliveries do not carry a count.
    #[must_use]
    pub fn without_delivery_counts(self) -> Self {
        self.configure(|config| config.counts_deliveries = false)
    }

    /// The broker takes a message away when it comes back for the `limit`th time by a counted
    /// requeue, by a hold that has run out, or by a session that ended while it was held, as a
    /// quorum queue does; see [`MockBroker::taken_away`].
    #[must_use]
    pub fn delivery_limit(self, limit: u32) -> Self {
        self.configure(|config| config.delivery_limit = Some(limit))
    }

    /// Publishing a message of more than this many bytes of payload, key and headers is refused.
    #[must_use]
    pub fn max_message_bytes(self, bytes: usize) -> Self {
        self.configure(|config| config.max_message_bytes = Some(bytes))
    }

    /// A copy has another message id than its original.
    #[must_use]
    pub fn without_stable_ids(self) -> Self {
        self.configure(|config| config.stable_ids = false)
    }

    /// A topic keeps what its groups have not acked, and nothing else, so that the broker's memory
    /// is bounded by the backlog: for long runs. [`MockBroker::messages`] and
    /// [`MockBroker::dead_letters`] then show only what was published before the topic's first
    /// subscription, until that comes; a group that comes later begins with the next message.
    #[must_use]
    pub fn forget_settled(self) -> Self {
        self.configure(|config| config.forgets_settled = true)
    }

    /// Topics do not come into being by themselves; see [`MockBroker::create_topic`].
    #[must_use]
    pub fn strict_topics(self) -> Self {
        self.configure(|config| config.strict_topics = true)
    }

    /// How long an assertion waits for its condition, in virtual time, before it panics. 7 days
    /// without this setting.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        self.configure(|config| config.patience = patience)
    }

    fn configure(self, change: impl FnOnce(&mut Config)) -> Self {
        self.shared.update(|state, _| {
            assert!(state.is_unused(), "settings of a mock broker come before its first use");
            change(&mut state.config);
        });
        self
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) hold: Hold,
    pub(crate) ordered: bool,
    pub(crate) delays: Delays,
    pub(crate) counts_deliveries: bool,
    pub(crate) delivery_limit: Option<u32>,
    pub(crate) max_message_bytes: Option<usize>,
    pub(crate) stable_ids: bool,
    pub(crate) strict_topics: bool,
    pub(crate) forgets_settled: bool,
    pub(crate) patience: Duration,
}

/// How a requeue waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Delays {
    Native(Duration),
    ByCopy,
    Never,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hold: Hold::Extendable { each: VISIBILITY, total: None },
            ordered: false,
            delays: Delays::Native(Duration::MAX),
            counts_deliveries: true,
            delivery_limit: None,
            max_message_bytes: None,
            stable_ids: true,
            strict_topics: false,
            forgets_settled: false,
            patience: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

impl Config {
    pub(crate) fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.ordered = self.ordered;
        capabilities.max_delay = match self.delays {
            Delays::Native(longest) => Some(longest),
            Delays::ByCopy => Some(Duration::MAX),
            Delays::Never => None,
        };
        capabilities.delays_by_copy = matches!(self.delays, Delays::ByCopy);
        capabilities.hold = self.hold;
        capabilities.counts_deliveries = self.counts_deliveries;
        capabilities.delivery_limit = self.delivery_limit;
        capabilities.stable_message_ids = self.stable_ids;
        capabilities.ids_by_publisher = self.stable_ids;
        capabilities.max_message_bytes = self.max_message_bytes;
        capabilities
    }

    /// How long a delivery is held from its receipt, and by each extension.
    pub(crate) fn first_hold(&self) -> Option<Duration> {
        match self.hold {
            Hold::Extendable { each, total } => Some(total.map_or(each, |total| each.min(total))),
            Hold::Fixed(hold) => Some(hold),
            _ => None,
        }
    }

    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.max_message_bytes.is_none_or(|most| bytes <= most)
    }

    fn each(&self) -> Duration {
        match self.hold {
            Hold::Extendable { each, .. } => each,
            _ => VISIBILITY,
        }
    }

    fn total(&self) -> Option<Duration> {
        match self.hold {
            Hold::Extendable { total, .. } => total,
            _ => None,
        }
    }
}

/// The default of SQS.
const VISIBILITY: Duration = Duration::from_secs(30);
