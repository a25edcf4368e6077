//! One life of a subscription, from subscribing to the loss of the connection.

use std::{sync::Arc, time::Duration};

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

    /// Tries until there is a session, with backoff and full jitter from the first attempt on.
    pub(crate) async fn reopen(
        broker: &dyn Broker,
        subscription: &Subscription,
        chance: &Chance,
    ) -> Result<Arc<Self>, BrokerError> {
        let backoff = Backoff::exponential(Duration::from_millis(500), Duration::from_secs(30));
        let mut attempt = 0;
        loop {
            attempt += 1;
            tokio::time::sleep(chance.wait(&backoff, attempt)).await;
            match Self::open(broker, subscription).await {
                Err(BrokerError::Unavailable(error)) => {
                    tracing::warn!(attempt, %error, "cannot subscribe");
                }
                ended => return ended,
            }
        }
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
