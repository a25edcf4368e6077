//! One life of a subscription, from subscribing to the loss of the connection.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    Backoff, Cancellation, Cancelled,
    broker::{Broker, BrokerError, Capabilities, Hold, Source, Subscription},
    chance::Chance,
};

/// A source and the end of its life.
pub(crate) struct Session {
    pub(crate) source: Arc<dyn Source>,
    capabilities: Capabilities,
    over: Cancellation,
}

/// Longest time for one call that settles, extends or closes. What takes longer counts as a lost
/// connection: clients exist whose calls never return after a cut.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(30);

impl Session {
    /// Makes one attempt at a session.
    pub(crate) async fn open(
        broker: &dyn Broker,
        subscription: &Subscription,
    ) -> Result<Arc<Self>, BrokerError> {
        let opened = tokio::time::timeout(CALL_DEADLINE, broker.subscribe(subscription)).await;
        let source = opened.map_err(|_| {
            BrokerError::unavailable(format!("no session within {CALL_DEADLINE:?}"))
        })??;
        let capabilities = source.capabilities();
        Ok(Arc::new(Self { source, capabilities, over: Cancellation::new() }))
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    pub(crate) fn hold(&self) -> Hold {
        self.capabilities.hold
    }

    /// Declares the connection lost.
    pub(crate) fn end(&self) {
        self.over.trip(Cancelled::Revoked);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.reason().is_some()
    }

    /// Waits until the connection is declared lost. Cancel safe.
    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }

    pub(crate) async fn close(&self) {
        self.end();
        if tokio::time::timeout(CALL_DEADLINE, self.source.close()).await.is_err() {
            tracing::warn!("the source did not close within {CALL_DEADLINE:?}");
        }
    }
}

/// Opens one session after another, with backoff and full jitter from the first attempt on.
pub(crate) struct Reopening {
    attempt: u32,
    opened: Instant,
}

impl Reopening {
    /// After a first session that was opened just now.
    pub(crate) fn new() -> Self {
        Self { attempt: 0, opened: Instant::now() }
    }

    /// Tries until there is a session. Attempts are counted on while sessions are opened and lost
    /// again: a broker that takes everybody in and drops them is not asked without a pause.
    pub(crate) async fn session(
        &mut self,
        broker: &dyn Broker,
        subscription: &Subscription,
        chance: &Chance,
    ) -> Result<Arc<Session>, BrokerError> {
        /// A session that has lived so long was a good one.
        const STABLE: Duration = Duration::from_secs(30);
        let backoff = Backoff::exponential(Duration::from_millis(500), Duration::from_secs(30));
        if self.opened.elapsed() >= STABLE {
            self.attempt = 0;
        }
        loop {
            self.attempt = self.attempt.saturating_add(1);
            tokio::time::sleep(chance.wait(&backoff, self.attempt)).await;
            match Session::open(broker, subscription).await {
                Err(BrokerError::Unavailable(error)) => {
                    tracing::warn!(attempt = self.attempt, %error, "cannot subscribe");
                }
                ended => {
                    self.opened = Instant::now();
                    return ended;
                }
            }
        }
    }
}
