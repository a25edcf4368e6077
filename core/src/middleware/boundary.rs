//! Makes of whatever your outer layers do an outcome that the consumer can settle by.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;

use super::{DeadLetters, Decider};
use crate::{Delivery, Failure, Middleware, Outcome, Process, consumer::Room};

/// A panic in an outer layer is a failure of the message (P11), unless the message had come to its
/// end inside: that stands. A rejection that a layer outside the dead letters made up is
/// dead-lettered here.
pub(crate) struct Boundary {
    pub(crate) decider: Decider,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) room: Room,
}

impl Middleware for Boundary {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let mut panics = 0;
        loop {
            let failure = match AssertUnwindSafe(next.run(delivery)).catch_unwind().await {
                Ok(Outcome::Failed(failure)) => failure,
                Ok(Outcome::Reject { reason, failure }) => {
                    return self.dead_letters.bury(delivery, reason, &failure).await;
                }
                Ok(outcome) => return outcome,
                Err(payload) => {
                    if let Some(conclusion) = delivery.conclusion {
                        tracing::error!("a layer panicked after the message had ended");
                        return conclusion.into();
                    }
                    Box::new(Failure::panicked("a layer", payload.as_ref()))
                }
            };
            // Such a failure has no claim to count it, so it is counted here, in place.
            panics += 1;
            delivery.attempt = delivery.attempt.max(panics);
            let after = match self.decider.decide(delivery, failure) {
                Outcome::Reject { reason, failure } => {
                    return self.dead_letters.bury(delivery, reason, &failure).await;
                }
                Outcome::Retry { after, .. } | Outcome::Release { after: Some(after), .. } => after,
                _ => Duration::ZERO,
            };
            if let Err(reason) = self.room.wait(delivery, tokio::time::sleep(after)).await {
                return Outcome::release(reason.into());
            }
        }
    }
}
