//! Where a delivery waits in place: without a slot, counted, and only as long as nobody stops it.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{health::Health, lanes::Lanes, session::CALL_DEADLINE};
use crate::{
    Cancellation, Cancelled, Cause, Delivery,
    chance::Chance,
    idempotency::{End, Held},
    store::{StoreError, Written},
};

/// What the middleware of one consumer need for waiting.
#[derive(Clone)]
pub(crate) struct Room {
    lanes: Arc<Lanes>,
    health: Health,
    draining: Cancellation,
    /// Tripped when draining has taken as long as it may.
    deadline: Cancellation,
    /// How many deliveries may wait in place while intake goes on.
    share: usize,
    chance: Chance,
}

impl Room {
    pub(crate) fn new(
        lanes: Arc<Lanes>,
        health: Health,
        (draining, deadline): (Cancellation, Cancellation),
        share: usize,
        chance: Chance,
    ) -> Self {
        Self { lanes, health, draining, deadline, share, chance }
    }

    /// Whether one more may wait while intake goes on.
    pub(crate) fn has_share(&self) -> bool {
        self.lanes.waiting() < self.share
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn chance(&self) -> &Chance {
        &self.chance
    }

    /// The pause before something that is down is asked again.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        self.chance.pause(failures)
    }

    /// Waits in place for `until`, and then for a slot to go on.
    ///
    /// # Errors
    /// The reason why the delivery must not wait any longer.
    pub(crate) async fn wait<T>(
        &self,
        delivery: &mut Delivery,
        until: impl Future<Output = T>,
    ) -> Result<T, Cancelled> {
        self.wait_with(delivery, Patience::WhileHeld, until).await
    }

    async fn wait_with<T>(
        &self,
        delivery: &mut Delivery,
        patience: Patience,
        until: impl Future<Output = T>,
    ) -> Result<T, Cancelled> {
        let had_slot = delivery.slot.take().is_some();
        let _waiting = Waiting::begin(&self.lanes, delivery.lane.clone());
        let cancellation = delivery.cancellation();
        let resumed = async {
            let value = until.await;
            let slot = if had_slot { self.lanes.slot().await } else { None };
            (value, slot)
        };
        let (value, slot) = tokio::select! {
            biased;
            reason = stopped(cancellation, patience) => return Err(reason),
            reason = self.draining.cancelled(), if patience == Patience::WhileHeld => {
                return Err(reason);
            }
            reason = self.deadline.cancelled() => return Err(reason),
            resumed = resumed => resumed,
        };
        delivery.slot = slot;
        Ok(value)
    }

    /// Repeats a call to the store while the store is down, as an outage that pauses intake.
    ///
    /// # Errors
    /// The store's refusal, or the reason why the delivery must not wait any longer.
    pub(crate) async fn persist<T, F>(
        &self,
        delivery: &mut Delivery,
        patience: Patience,
        call: impl Fn() -> F,
    ) -> Result<T, NotPersisted>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut outage = None;
        let mut probe = 0;
        loop {
            match in_time(call()).await {
                Ok(value) => return Ok(value),
                Err(StoreError::Unavailable(error)) => {
                    tracing::debug!(%error, "the store is unavailable");
                    outage.get_or_insert_with(|| self.health.outage_by("store", Some(&*error)));
                }
                Err(error) => return Err(NotPersisted::Error(error)),
            }
            probe += 1;
            let pause = tokio::time::sleep(self.pause(probe));
            let waited = self.wait_with(delivery, patience, pause).await;
            waited.map_err(NotPersisted::Stopped)?;
        }
    }
}

impl Room {
    /// Ends a claim, without words where the store refuses them.
    ///
    /// # Errors
    /// As [`Room::persist`].
    pub(crate) async fn end(
        &self,
        delivery: &mut Delivery,
        held: &Held,
        end: End,
    ) -> Result<Written, NotPersisted> {
        let written = self.persist(delivery, Patience::ToTheEnd, || held.write(&end)).await;
        match (written, end.without_words()) {
            (Err(NotPersisted::Error(error)), Some(end)) => {
                tracing::error!(%error, "the store refuses the words of a failure");
                self.persist(delivery, Patience::ToTheEnd, || held.write(&end)).await
            }
            (written, _) => written,
        }
    }
}

/// A store that does not answer is down: calls are repeated with the same token.
pub(crate) async fn in_time<T>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let answered = tokio::time::timeout(CALL_DEADLINE, call).await;
    answered.unwrap_or_else(|_| {
        Err(StoreError::unavailable(format!("no answer within {CALL_DEADLINE:?}")))
    })
}

/// What ends a wait early.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A stop, or the loss of the delivery: for what has not begun.
    WhileHeld,
    /// Only the drain deadline or the loss of the record: for the end of an attempt, which is worth
    /// writing down although the broker has taken the delivery back.
    ToTheEnd,
}

async fn stopped(cancellation: &Cancellation, patience: Patience) -> Cancelled {
    match (cancellation.cancelled().await, patience) {
        (Cancelled::Revoked, Patience::ToTheEnd) => std::future::pending().await,
        (reason, _) => reason,
    }
}

/// Why a call to the store has no answer.
pub(crate) enum NotPersisted {
    /// The delivery must not wait any longer.
    Stopped(Cancelled),
    /// Trying again does not help.
    Error(StoreError),
}

impl From<Cancelled> for Cause {
    fn from(reason: Cancelled) -> Self {
        Self::Cancelled(reason)
    }
}

/// Counts a delivery as waiting for as long as it exists.
struct Waiting<'a> {
    lanes: &'a Lanes,
    lane: Option<Bytes>,
}

impl<'a> Waiting<'a> {
    fn begin(lanes: &'a Lanes, lane: Option<Bytes>) -> Self {
        lanes.mark_waiting(lane.as_ref(), true);
        Self { lanes, lane }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.lanes.mark_waiting(self.lane.as_ref(), false);
    }
}
