//! Runs a consumer: starts it, watches over its tasks, and stops it.

use std::{fmt, future::Future, pin::pin, sync::Arc};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::sync::Notify;

use super::{
    builder::{Assemble, Builder, Remembering},
    check::{self, Facts, Findings, Seen},
    health::{Health, Life, Outage},
    operation::Operation,
    policy::Policy,
    session::{CALL_DEADLINE, Session},
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
    pub(super) facts: Facts,
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
    /// The broker cannot do what the policy asks for, or does not let the consumer in.
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
        let (publisher, session) = tokio::select! {
            biased;
            () = shutdown.started() => return Ok(()),
            started = self.start() => started?,
        };
        tracing::info!(
            consumer = self.policy.name,
            source = self.policy.source,
            guarantee = self.guarantee(),
            "consuming"
        );
        self.consume(publisher, session, shutdown).await
    }

    /// What becomes of duplicates, in the words of the documentation.
    fn guarantee(&self) -> &'static str {
        match &self.memory {
            None => "at-least-once",
            Some(_) if self.policy.transactional => "transactional",
            Some(_) => "idempotent",
        }
    }

    /// What a refused destination hides of the source would be told one start later, so both are
    /// looked at before either is told.
    async fn start(&self) -> Result<(Arc<dyn Publish>, Arc<Session>), RunError> {
        let publisher = or_refused(self.publisher().await)?;
        let session = or_refused(self.first_session().await)?;
        let seen = Seen {
            source: session.as_ref().map(|session| session.capabilities()).map_err(String::as_str),
            destination: publisher.as_ref().map(drop).map_err(String::as_str),
        };
        let checked = check::at_start(&self.facts, &seen);
        if let (Err(_), Ok(session)) = (&checked, &session) {
            session.close().await;
        }
        checked?;
        // Each refusal is a finding, so that none is left here.
        let misconfigured = BrokerError::Misconfigured;
        let (publisher, session) =
            (publisher.map_err(misconfigured)?, session.map_err(misconfigured)?);
        check::warn(&self.facts, session.capabilities());
        Ok((publisher, session))
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

    async fn first_session(&self) -> Result<Arc<Session>, BrokerError> {
        let subscription = self.subscription();
        persist(&self.chance, "subscribe", || Session::open(&*self.broker, &subscription)).await
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
        let answered = tokio::time::timeout(CALL_DEADLINE, call()).await;
        let answer = answered.unwrap_or_else(|_| {
            Err(BrokerError::unavailable(format!("no answer within {CALL_DEADLINE:?}")))
        });
        match answer {
            Err(BrokerError::Unavailable(error)) => {
                failures += 1;
                tracing::warn!(failures, %error, "cannot {what} yet");
                tokio::time::sleep(chance.pause(failures)).await;
            }
            ended => return ended,
        }
    }
}

/// What the broker refuses is a finding, and no end yet.
fn or_refused<T>(answer: Result<T, BrokerError>) -> Result<Result<T, String>, BrokerError> {
    match answer {
        Ok(given) => Ok(Ok(given)),
        Err(BrokerError::Misconfigured(words)) => Ok(Err(words)),
        Err(unavailable) => Err(unavailable),
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
