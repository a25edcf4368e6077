//! Ends an attempt that takes too long, or that has been cancelled.

use std::{pin::pin, time::Duration};

use crate::{Cancelled, Delivery, Failure, FailureKind, Middleware, Outcome, Process};

/// The one place that drops a handler's future.
pub(crate) struct Timeout {
    pub(crate) limit: Duration,
    /// How long a cancelled handler that watches its token has to end by itself.
    pub(crate) grace: Duration,
}

impl Middleware for Timeout {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let cancellation = delivery.cancellation().clone();
        let mut attempt = pin!(next.run(delivery));
        let reason = tokio::select! {
            biased;
            // First: what a cancelled handler ends with says nothing about its message.
            reason = cancellation.cancelled() => reason,
            outcome = &mut attempt => return outcome,
            () = tokio::time::sleep(self.limit) => {
                let text = format!("the handler did not end within the timeout of {:?}", self.limit);
                return Outcome::failed(Failure::new(FailureKind::TimedOut, text));
            }
        };
        // Another owner may be at work on the message: every moment more is a moment of both.
        let ended = match reason {
            Cancelled::LeaseLost => None,
            _ => tokio::time::timeout(self.grace, attempt).await.ok(),
        };
        match ended {
            Some(Outcome::Done) => Outcome::Done,
            _ => Outcome::release(reason.into()),
        }
    }
}
