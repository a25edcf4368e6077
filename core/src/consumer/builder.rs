//! Where a consumer's policy is said.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::{
    check::{self, Facts, Findings},
    crew::Work,
    health::{Health, Life},
    operation::Parts,
    policy::{Limits, OrderedBy, Policy},
    run::Consumer,
    settings::Settings,
};
use crate::{
    BreakerPolicy, Codec, DedupKey, Handler, Message, Middleware, Retry,
    broker::Broker,
    chance::Chance,
    codec::Json,
    middleware::{
        Boundary, CatchPanic, Decide, Decode, Filter, Idempotency, Invoke, Memory, Metrics,
        Retrying, Timeout, Trace,
    },
    process::{Layered, NoLayers, Process, Stack, Then},
    store::{Scope, Store},
};

/// Says a consumer's policy. Every setting but `source`, `group` and `dead_letter` has a default;
/// [`Builder::build`] reports everything that does not fit at once.
#[must_use]
pub struct Builder<H: Handler, C = Json, O = NoLayers, I = NoLayers> {
    said: Said<H>,
    codec: C,
    outer: O,
    inner: I,
}

/// What does not change the builder's type.
struct Said<H: Handler> {
    policy: Policy,
    handler: H,
    dedup_key: Option<DedupKey<H::Message>>,
    filter: Option<Filter>,
    store: Option<Arc<dyn Store>>,
    dead_letter_broker: Option<Arc<dyn Broker>>,
    seed: Option<u64>,
}

/// A store, and whose records.
#[derive(Clone)]
pub(crate) struct Remembering {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) scope: Scope,
}

/// Puts the middleware around the handler, once the consumer runs.
pub(crate) type Assemble = Box<dyn FnOnce(Parts) -> Arc<dyn Work> + Send + Sync>;

impl<H: Handler> Builder<H, Json, NoLayers, NoLayers> {
    pub(super) fn new(name: String, handler: H) -> Self {
        let said = Said {
            policy: Policy::new(name),
            handler,
            dedup_key: None,
            filter: None,
            store: None,
            dead_letter_broker: None,
            seed: None,
        };
        Self { said, codec: Json, outer: NoLayers, inner: NoLayers }
    }
}

impl<H: Handler, C, O: Stack, I: Stack> Builder<H, C, O, I> {
    /// Applies settings from a configuration file over what has been said so far; what is said after
    /// it wins over them.
    pub fn configure(mut self, mut settings: Settings) -> Self {
        if let Some(key) = settings.dedup_key.take() {
            self.said.dedup_key = Some(key.into());
        }
        settings.apply(&mut self.said.policy);
        self
    }

    /// The topic or queue to consume.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.said.policy.source = source.into();
        self
    }

    /// The consumer group: its members share out the messages.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.said.policy.group = group.into();
        self
    }

    /// Where messages go that are given up. It must exist when the consumer starts.
    pub fn dead_letter(mut self, destination: impl Into<String>) -> Self {
        self.said.policy.dead_letter = destination.into();
        self
    }

    /// Publishes dead letters through another broker than the one that is consumed. A redrive needs both: see
    /// [`Redrive::source_on`](crate::Redrive::source_on).
    pub fn dead_letter_on(mut self, broker: impl Broker) -> Self {
        self.said.dead_letter_broker = Some(Arc::new(broker));
        self
    }

    /// Remembers in this store what has been done. Without one, the consumer is at-least-once.
    pub fn store(mut self, store: impl Store) -> Self {
        self.said.store = Some(Arc::new(store));
        self
    }

    /// Where the dedup key of a message comes from. Needs a [`Builder::store`].
    pub fn dedup_key(mut self, key: DedupKey<H::Message>) -> Self {
        self.said.dedup_key = Some(key);
        self
    }

    /// When to try again, and when to give up.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.said.policy.retry = retry;
        self
    }

    /// When to take failures for an outage, and pause.
    pub fn breaker(mut self, breaker: BreakerPolicy) -> Self {
        self.said.policy.breaker = breaker;
        self
    }

    /// Which messages to handle, by their key and headers; the others are acked unseen. Runs
    /// before decoding.
    pub fn filter(mut self, wants: impl Fn(&Message) -> bool + Send + Sync + 'static) -> Self {
        self.said.filter = Some(Arc::new(wants));
        self
    }

    /// Handles messages of one key, or of one partition, one after another, in their order, also while
    /// one of them waits for its retry. Refused at start on a source that does not keep order.
    pub fn ordered_by(mut self, by: OrderedBy) -> Self {
        self.said.policy.ordered_by = Some(by);
        self
    }

    /// How many handlers run at once. Default 16.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.said.policy.concurrency = handlers;
        self
    }

    /// How many deliveries are held unsettled at most: at work, waiting and queued together.
    /// Default: four times the concurrency.
    pub fn max_in_flight(mut self, deliveries: usize) -> Self {
        self.said.policy.max_in_flight = Some(deliveries);
        self
    }

    /// How many bytes of payloads, keys and headers are held unsettled; one message may pass the
    /// bound. Default 64 MiB.
    pub fn max_in_flight_bytes(mut self, bytes: usize) -> Self {
        self.said.policy.max_in_flight_bytes = bytes;
        self
    }

    /// Which part of `max_in_flight` may wait for a retry while intake goes on. Default 0.5.
    pub fn waiting_share(mut self, share: f64) -> Self {
        self.said.policy.waiting_share = share;
        self
    }

    /// How long one attempt may take. Default 30 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.said.policy.timeout = limit;
        self
    }

    /// How long a cancelled handler has to end by itself. Default 2 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.said.policy.grace = grace;
        self
    }

    /// How long a shutdown lets handlers finish before it cancels them. Default 20 s.
    pub fn drain(mut self, deadline: Duration) -> Self {
        self.said.policy.drain = deadline;
        self
    }

    /// How long a claim is held without a sign of life: the time after which a message whose
    /// process was killed runs again. Renewed at a third of its length. Default 30 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.said.policy.lease = lease;
        self
    }

    /// How long one attempt may hold a claim, renewals included. Default 1 h.
    pub fn lease_cap(mut self, cap: Duration) -> Self {
        self.said.policy.lease_cap = cap;
        self
    }

    /// How long a record is remembered after its end: at least as long as the broker may deliver
    /// a duplicate, or you may redrive a dead letter. Default 15 days.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.said.policy.retention = retention;
        self
    }

    /// Lends the handler a transaction of the store, in which its effects and its record commit
    /// together (P4).
    pub fn transactional(mut self) -> Self {
        self.said.policy.transactional = true;
        self
    }

    /// Which replay this is. Another number has another memory: everything runs again. Default 0.
    pub fn generation(mut self, generation: u32) -> Self {
        self.said.policy.generation = generation;
        self
    }

    /// Bounds on one message; beyond them it is dead-lettered undecoded.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.said.policy.limits = limits;
        self
    }

    /// After how long without a delivery, while the broker says that messages wait, the session is
    /// renewed. Default 2 min.
    pub fn stalled_after(mut self, quiet: Duration) -> Self {
        self.said.policy.stalled_after = quiet;
        self
    }

    /// Silences the warning of this name, since what it warns of is meant so. `docs/checks.md` in
    /// the repository explains every rule. To acknowledge an error, or a rule that does not exist,
    /// is refused by [`Builder::build`].
    pub fn acknowledge(mut self, warning: impl Into<String>) -> Self {
        self.said.policy.acknowledged.push(warning.into());
        self
    }

    /// Draws all jitter from this seed, so that a test can be repeated. Without it, every consumer
    /// draws its own.
    pub fn seed(mut self, seed: u64) -> Self {
        self.said.seed = Some(seed);
        self
    }

    /// Decodes payloads by this codec instead of JSON.
    pub fn codec<D: Codec<H::Message>>(self, codec: D) -> Builder<H, D, O, I> {
        Builder { said: self.said, codec, outer: self.outer, inner: self.inner }
    }

    /// Adds a layer that sees a delivery once, whatever happens inside: inside the layers added
    /// before it, outside dead letters and retries. It runs again only if an outer layer itself fails
    /// or panics.
    pub fn outer<M: Middleware>(self, layer: M) -> Builder<H, C, Then<O, M>, I> {
        let outer = Then { outside: self.outer, inside: layer };
        Builder { said: self.said, codec: self.codec, outer, inner: self.inner }
    }

    /// Adds a layer that sees every attempt: inside the layers added before it, outside timeout and
    /// handler. A failure passes it as [`Outcome::Failed`](crate::Outcome::Failed).
    pub fn inner<M: Middleware>(self, layer: M) -> Builder<H, C, O, Then<I, M>> {
        let inner = Then { outside: self.inner, inside: layer };
        Builder { said: self.said, codec: self.codec, outer: self.outer, inner }
    }
}

impl<H: Handler, C: Codec<H::Message>, O: Stack, I: Stack> Builder<H, C, O, I> {
    /// Checks the policy and makes the consumer. What depends on the broker is checked when it
    /// starts.
    ///
    /// # Errors
    /// Everything that does not fit, each with its setting, its value, and what it needs (P16).
    pub fn build(self, broker: impl Broker) -> Result<Consumer, Findings> {
        let Self { said, codec, outer, inner } = self;
        let facts = Facts {
            policy: Arc::new(said.policy),
            store: said.store.as_deref().map(Into::into),
            dedup_by: said.dedup_key.as_ref().map(Into::into),
            dead_letters_elsewhere: said.dead_letter_broker.is_some(),
        };
        check::before_start(&facts)?;
        let scope = check::scope(&facts)?;
        let broker: Arc<dyn Broker> = Arc::new(broker);
        let bell = Arc::new(Notify::new());
        let health = Health::new(&facts.policy.name, Arc::clone(&bell));
        Ok(Consumer {
            memory: said.store.map(|store| Remembering { store, scope }),
            policy: Arc::clone(&facts.policy),
            facts,
            dead_letter_broker: said.dead_letter_broker.unwrap_or_else(|| Arc::clone(&broker)),
            broker,
            not_connected: health.pause("broker"),
            life: Life(health.clone()),
            health,
            bell,
            chance: Chance::new(said.seed),
            assemble: Box::new(move |parts| {
                let layers = (outer, inner);
                assemble(said.handler, codec, layers, said.dedup_key, said.filter, parts)
            }),
        })
    }
}

/// The whole stack, from the handler outwards.
fn assemble<H: Handler, C: Codec<H::Message>, O: Stack, I: Stack>(
    handler: H,
    codec: C,
    (outer, inner): (O, I),
    dedup_key: Option<DedupKey<H::Message>>,
    filter: Option<Filter>,
    parts: Parts,
) -> Arc<dyn Work> {
    let Parts { policy, room, decider, dead_letters, meters, .. } = parts;
    let codec = Arc::new(codec);
    let memory = parts.memory.zip(dedup_key).map(|((remembering, leases), key)| Memory {
        store: remembering.store,
        scope: remembering.scope,
        leases,
        key,
        lease: policy.lease,
        retention: policy.retention,
        transactional: policy.transactional,
    });

    let process = Invoke { handler, codec: Arc::clone(&codec) };
    let process = layer(CatchPanic { place: "the handler" }, process);
    let process = layer(Timeout { limit: policy.timeout, grace: policy.grace }, process);
    let process = layer(CatchPanic { place: "a layer" }, inner.around(process));
    let process = layer(Decide { decider: decider.clone() }, process);
    let process =
        layer(Idempotency { memory, decider: decider.clone(), room: room.clone() }, process);
    let decode = Decode {
        codec,
        filter,
        limits: policy.limits,
        decider: decider.clone(),
        message: PhantomData,
    };
    let process = layer(decode, process);
    let retrying = Retrying {
        retry: Arc::clone(&decider.retry),
        breaker: Arc::clone(&decider.breaker),
        room: room.clone(),
        ordered: policy.ordered_by.is_some(),
        source: parts.source,
        meters: Arc::clone(&meters),
    };
    let process = layer(retrying, process);
    let process = outer.around(layer(dead_letters.clone(), process));
    let trace = Trace {
        system: parts.system,
        consumer: Arc::clone(&dead_letters.consumer),
        group: Arc::clone(&dead_letters.group),
    };
    let process = layer(Boundary { decider, dead_letters, room }, process);
    Arc::new(layer(trace, layer(Metrics(meters), process)))
}

fn layer<M: Middleware, P: Process>(middleware: M, next: P) -> Layered<M, P> {
    Layered { middleware, next }
}

impl<H: Handler, C, O, I> fmt::Debug for Builder<H, C, O, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("policy", &self.said.policy)
            .field("dedup_key", &self.said.dedup_key)
            .finish_non_exhaustive()
    }
}
