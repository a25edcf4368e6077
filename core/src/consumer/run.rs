//! Runs a consumer: starts it, watches over its tasks, and stops it.

use std::{fmt, future::Future, pin::pin, sync::Arc};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::sync::Notify;

use super::{
    builder::{Assemble, Builder, Remembering},
    check::{self, Facts, Findings},
    health::{Health, Life, Outage},
    operation::Operation,
    policy::Policy,
    session::Session,
    shutdown::Shutdown,
};
use crate::{
    Handler,
    broker::{Broker, BrokerError, Publish, Subscription},
    chance::Chance,
    codec::Json,
    process::NoLayers,
};

/// A handler with its policy, its broker and its store, ready to run.
pub struct Consumer {
    pub(super) policy: Arc<Policy>,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) dead_letter_broker: Arc<dyn Broker>,
    pub(super) memory: Option<Remembering>,
    pub(super) dedup_by_message_id: bool,
    pub(super) assemble: Assemble,
    pub(super) health: Health,
    /// A consumer that does not run yet is not ready.
    pub(super) not_connected: Outage,
    pub(super) life: Life,
    pub(super) bell: Arc<Notify>,
    pub(super) chance: Chance,
}

/// Why a consumer ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The broker cannot do what the policy asks for.
    #[error(transparent)]
    Misconfigured(#[from] Findings),
    /// The broker refuses in a way that trying again does not mend.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Nothing is delivered although messages wait, and renewing the session did not help.
    #[error("{waiting} messages wait, and {renewals} renewed sessions have delivered none of them")]
    Stalled {
        /// Messages that wait, as the broker counts them.
        waiting: u64,
        /// Sessions tried.
        renewals: u32,
    },
    /// Deliveries that were not settled by the drain deadline. The broker delivers them again.
    #[error("{deliveries} deliveries were not settled before the drain deadline")]
    Abandoned {
        /// How many.
        deliveries: usize,
    },
    /// A task of the consumer died.
    #[error("{0}")]
    Internal(String),
}

impl Consumer {
    /// Begins a consumer. `name` names its metrics and, with the group, the scope of its records: it
    /// is declared, and must not change when code is moved. Two consumers that share a store need
    /// names of their own, unless they are members of one group on one source: under one name they
    /// would take each other's messages for duplicates.
    pub fn builder<H: Handler>(
        name: impl Into<String>,
        handler: H,
    ) -> Builder<H, Json, NoLayers, NoLayers> {
        Builder::new(name.into(), handler)
    }

    /// A handle on its health, for readiness probes.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Runs until `shutdown`, and then until everything is finished or released, at most until the
    /// drain deadline. While the broker, the store or a destination is down, it waits, not ready,
    /// and recovers by itself.
    ///
    /// Dropping the future stops at once, as a crash would: what is unsettled is delivered again.
    ///
    /// # Errors
    /// [`RunError`], as soon as it can make no more progress.
    ///
    /// # Panics
    /// Outside a tokio runtime, or in one without a clock.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), RunError> {
        let start = async {
            let publisher = self.publisher().await?;
            let session = self.first_session().await?;
            Ok::<_, RunError>((publisher, session))
        };
        let (publisher, session) = tokio::select! {
            biased;
            () = shutdown.started() => return Ok(()),
            started = start => started?,
        };
        tracing::info!(consumer = self.policy.name, source = self.policy.source, "consuming");
        self.consume(publisher, session, shutdown).await
    }

    /// A publisher whose dead letter destination is there.
    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        persist(&self.chance, "reach the dead letter destination", || async {
            let publisher = self.dead_letter_broker.publisher().await?;
            publisher.check(&self.policy.dead_letter).await?;
            Ok(publisher)
        })
        .await
    }

    async fn first_session(&self) -> Result<Arc<Session>, RunError> {
        let subscription = self.subscription();
        let open = || Session::open(&*self.broker, &subscription);
        let session = persist(&self.chance, "subscribe", open).await?;
        let facts = Facts {
            policy: &self.policy,
            store: None,
            has_dedup_key: false,
            dedup_by_message_id: self.dedup_by_message_id,
        };
        if let Err(findings) = check::at_start(&facts, session.capabilities()) {
            session.close().await;
            return Err(findings.into());
        }
        Ok(session)
    }

    pub(super) fn subscription(&self) -> Subscription {
        let policy = &self.policy;
        let mut subscription = Subscription::new(&policy.source, &policy.group)
            .max_messages(policy.max_in_flight())
            .max_bytes(policy.max_in_flight_bytes);
        subscription.ordered = policy.ordered_by.is_some();
        subscription
    }

    async fn consume(
        self,
        publisher: Arc<dyn Publish>,
        session: Arc<Session>,
        shutdown: Shutdown,
    ) -> Result<(), RunError> {
        let mut operation = Operation::begin(self, publisher, session);
        let failure = tokio::select! {
            biased;
            () = shutdown.started() => None,
            failure = operation.failure() => Some(failure),
        };
        let drained = operation.drain().await;
        failure.map_or(drained, Err)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// `run()` can be spawned.
const _: () = {
    const fn is_send<T: Send>(_: &impl FnOnce(Consumer, Shutdown) -> T) {}
    is_send(&Consumer::run);
};

/// Repeats a call at start for as long as the broker is unavailable.
async fn persist<T, F>(chance: &Chance, what: &str, call: impl Fn() -> F) -> Result<T, BrokerError>
where
    F: Future<Output = Result<T, BrokerError>>,
{
    let mut failures = 0;
    loop {
        match call().await {
            Err(BrokerError::Unavailable(error)) => {
                failures += 1;
                tracing::warn!(failures, %error, "cannot {what} yet");
                tokio::time::sleep(chance.pause(failures)).await;
            }
            ended => return ended,
        }
    }
}

/// Runs several consumers under one shutdown. When one fails, the others are stopped too.
///
/// # Errors
/// The first failure.
pub async fn run_all(
    consumers: impl IntoIterator<Item = Consumer>,
    shutdown: Shutdown,
) -> Result<(), RunError> {
    let together = Shutdown::new();
    let mut running: FuturesUnordered<_> =
        consumers.into_iter().map(|consumer| consumer.run(together.clone())).collect();
    let mut ended = Ok(());
    let mut asked = pin!(shutdown.started());
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            () = &mut asked, if !stopping => {
                stopping = true;
                together.trigger();
            }
            next = running.next() => match next {
                None => return ended,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    together.trigger();
                    ended = ended.and(Err(error));
                }
            }
        }
    }
}
