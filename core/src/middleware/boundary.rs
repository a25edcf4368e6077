//! Makes of whatever your outer layers do an outcome that the consumer can settle by.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;

use super::{DeadLetters, Decider, idempotency::end_what_was_left};
use crate::{
    Delivery, Failure, FailureKind, Middleware, Outcome, Process, consumer::Room,
    failure::drop_safely,
};

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
            let ran = AssertUnwindSafe(next.run(delivery)).catch_unwind().await;
            end_what_was_left(&self.room, delivery).await;
            let failure = match (ran, delivery.conclusion) {
                (Ok(Outcome::Failed(_) | Outcome::Reject { .. }), Some(ended)) => {
                    tracing::error!("a layer failed after the message had ended");
                    return ended.into();
                }
                (Err(payload), Some(ended)) => {
                    tracing::error!("a layer panicked after the message had ended");
                    drop_safely(payload);
                    return ended.into();
                }
                (Ok(Outcome::Failed(failure)), None) => failure,
                (Ok(Outcome::Reject { reason, failure }), None) => {
                    return self.dead_letters.bury(delivery, reason, &failure).await;
                }
                (Ok(Outcome::DeadLettered(reason)), None) => {
                    let text = "a layer says that it is dead-lettered, which it was not";
                    let failure = Failure::new(FailureKind::Permanent, text);
                    return self.dead_letters.bury(delivery, reason, &failure).await;
                }
                (Ok(outcome), _) => return outcome,
                (Err(payload), None) => Box::new(Failure::panicked("a layer", payload)),
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
