//! Where deliveries come from, and through which they are settled.

use async_trait::async_trait;

#[cfg(doc)]
use super::Hold;
use super::{BrokerError, Capabilities, Settle, SettleError};
use crate::{Delivery, Receipt};

/// One session of a subscription: deliveries come out of it and are settled through it.
///
/// When the connection is lost the session ends: `receive` fails, and every receipt of it is
/// stale. When only a part is taken back (partitions, a lease that ran out), the source trips the
/// [cancellation](Delivery::cancellation) of those deliveries with
/// [`Cancelled::Revoked`](crate::Cancelled::Revoked), of which it keeps a clone. The calls run side
/// by side; `settle` and `extend` are never called for the same receipt at the same time.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// What this subscription can do; constant for the life of the session.
    fn capabilities(&self) -> Capabilities;

    /// Waits for deliveries. Returns at most `demand.messages`, and stops behind the one that
    /// passes `demand.bytes`. An empty answer means "nothing yet": the consumer asks again.
    ///
    /// The consumer drops no pending call while the session lives; [`Source::stop`] ends it.
    ///
    /// # Errors
    /// Any error ends the session.
    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError>;

    /// Tells the broker what became of deliveries. Answers come in the order of the batch, one for
    /// each. The consumer collects what ends while a call is under way into the next batch.
    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>>;

    /// Extends the holds of these deliveries by the length that [`Hold::Extendable`] names,
    /// counted from now. Answers as for [`Source::settle`]. Called only for extendable holds: others
    /// need not implement it.
    async fn extend(&self, receipts: &[Receipt]) -> Vec<Result<(), SettleError>> {
        let refused = || SettleError::Unavailable("this hold cannot be extended".into());
        receipts.iter().map(|_| Err(refused())).collect()
    }

    /// Waits until the session has ended by itself, for sources that notice without being asked to
    /// receive: a consumer whose room is full does not ask. Cancel safe.
    async fn lost(&self) {
        std::future::pending().await
    }

    /// Stops receiving: a pending `receive` and later ones return promptly, with what must still
    /// be settled or with nothing, and what the adapter has prefetched goes back to the broker.
    async fn stop(&self);

    /// Ends the session, after everything has been settled or given up.
    async fn close(&self);

    /// How many messages could be delivered to this session now, if the broker can tell yet: neither
    /// delayed ones nor those that another session holds or must get first. The watchdog renews a
    /// session that delivers nothing while this is above 0.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    async fn backlog(&self) -> Result<Option<u64>, BrokerError> {
        Ok(None)
    }
}

/// How much a consumer can take now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Demand {
    /// Messages, at least 1.
    pub messages: usize,
    /// Bytes, at least 1.
    pub bytes: usize,
}

impl Demand {
    /// A demand; values of 0 are raised to 1.
    pub fn new(messages: usize, bytes: usize) -> Self {
        Self { messages: messages.max(1), bytes: bytes.max(1) }
    }
}
