//! Makes of whatever your outer layers do an outcome that the consumer can settle by.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::time::sleep;

use super::{
    DeadLetters, Decider, dead_letter::not_dead_lettered, decide::pace,
    idempotency::end_what_was_left,
};
use crate::{
    Cause, Delivery, Failure, Middleware, Outcome, Process, consumer::Room, failure::drop_safely,
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
        let mut failures = 0;
        loop {
            let ran = AssertUnwindSafe(next.run(delivery)).catch_unwind().await;
            end_what_was_left(&self.room, delivery).await;
            // Still here if the layers kept the message to themselves.
            let probe = delivery.probe.take();
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
                    return self.dead_letters.bury(delivery, reason, &not_dead_lettered()).await;
                }
                (Ok(outcome), _) => {
                    if probe.is_some() && matches!(outcome, Outcome::Done) {
                        self.decider.breaker.succeeded();
                    }
                    return outcome;
                }
                (Err(payload), None) => Box::new(Failure::panicked("a layer", payload)),
            };
            // The layers begin anew with what was received.
            delivery.message.payload = delivery.original.clone();
            // Such a failure has no claim to count it, so it is counted here, in place.
            let before = delivery.attempt;
            delivery.attempt = before.max(failures + 1);
            let outcome = self.decider.decide(delivery, failure);
            drop(probe);
            let waited = match outcome {
                Outcome::Reject { reason, failure } => {
                    return self.dead_letters.bury(delivery, reason, &failure).await;
                }
                Outcome::Release { cause: Cause::Unavailable(_), after } => {
                    delivery.attempt = before;
                    let turn = async {
                        sleep(pace(after)).await;
                        self.decider.breaker.admit().await
                    };
                    let pass = self.room.wait(delivery, turn).await;
                    pass.map(|pass| delivery.probe = pass.is_probe().then_some(pass))
                }
                Outcome::Retry { after, .. } => {
                    failures += 1;
                    self.room.wait(delivery, sleep(after)).await
                }
                other => return other,
            };
            if let Err(reason) = waited {
                return Outcome::release(reason.into());
            }
        }
    }
}
