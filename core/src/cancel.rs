//! The token that tells an attempt to stop, and why.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::sync::Notify;

/// Why an attempt should stop. None of these is the message's fault (P9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cancelled {
    /// The consumer is stopping and its drain deadline has passed.
    Shutdown,
    /// The broker took the delivery back: a rebalance, a lost connection, an expired hold.
    Revoked,
    /// Another owner took the idempotency record over, or the lease reached its cap.
    LeaseLost,
}

impl Cancelled {
    const ALL: [Self; 3] = [Self::Shutdown, Self::Revoked, Self::LeaseLost];
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shutdown => "shutdown",
            Self::Revoked => "revoked",
            Self::LeaseLost => "lease_lost",
        })
    }
}

/// Cancellation of one delivery. Clones share one state; the first reason stands.
#[derive(Clone, Default)]
pub struct Cancellation(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// 0 while not cancelled, else one more than the index in `Cancelled::ALL`.
    reason: AtomicU8,
    tripped: Notify,
}

impl Cancellation {
    /// A token that has not been tripped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels. Later reasons are ignored.
    pub fn trip(&self, reason: Cancelled) {
        let code = reason as u8 + 1;
        if self.0.reason.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.0.tripped.notify_waiters();
        }
    }

    /// The reason, once cancelled.
    pub fn reason(&self) -> Option<Cancelled> {
        let code = self.0.reason.load(Ordering::Acquire);
        Cancelled::ALL.get(usize::from(code).wrapping_sub(1)).copied()
    }

    /// Waits until cancelled. Cancel safe.
    pub async fn cancelled(&self) -> Cancelled {
        loop {
            let tripped = self.0.tripped.notified();
            if let Some(reason) = self.reason() {
                return reason;
            }
            tripped.await;
        }
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancellation").field(&self.reason()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stands() {
        let token = Cancellation::new();
        assert_eq!(token.reason(), None);
        let waiter = tokio::spawn({
            let token = token.clone();
            async move { token.cancelled().await }
        });
        token.trip(Cancelled::Revoked);
        token.trip(Cancelled::Shutdown);
        assert_eq!(waiter.await.unwrap(), Cancelled::Revoked);
        assert_eq!(token.cancelled().await, Cancelled::Revoked);
    }
}
