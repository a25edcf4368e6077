//! Ends an attempt that takes too long, or that has been cancelled.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

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
        // Not even begun: there is no grace for it.
        if let Some(reason) = cancellation.reason() {
            return Outcome::release(reason.into());
        }
        let mut attempt = pin!(next.run(delivery));
        // Begins when the attempt first waits: one that never does needs no timer.
        let mut stopped = pin!(async {
            tokio::select! {
                biased;
                reason = cancellation.cancelled() => Some(reason),
                () = tokio::time::sleep(self.limit) => None,
            }
        });
        let ended = poll_fn(|cx| {
            // Asked first: what a cancelled handler ends with says nothing about its message.
            if cancellation.reason().is_none()
                && let Poll::Ready(outcome) = attempt.as_mut().poll(cx)
            {
                return Poll::Ready(Ok(outcome));
            }
            stopped.as_mut().poll(cx).map(Err)
        });
        let reason = match ended.await {
            Ok(outcome) => return outcome,
            Err(Some(reason)) => reason,
            Err(None) => {
                let text =
                    format!("the handler did not end within the timeout of {:?}", self.limit);
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
