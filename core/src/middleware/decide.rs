//! Decides what follows a failure, once, where it leaves the handler.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::dead_letter::not_dead_lettered;
use crate::{
    Cause, Delivery, Failure, FailureKind, Middleware, Outcome, Process, Retry,
    breaker::{Breaker, Suspicion},
    chance::Chance,
};

/// Turns [`Outcome::Failed`] into what the policy makes of it.
pub(crate) struct Decide {
    pub(crate) decider: Decider,
}

impl Middleware for Decide {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        match next.run(delivery).await {
            Outcome::Failed(failure) => self.decider.decide(delivery, failure),
            outcome @ Outcome::Done => {
                // A transaction has still to be committed.
                if delivery.transaction.is_none() {
                    self.decider.breaker.succeeded();
                }
                outcome
            }
            // Before it is recorded as ended.
            Outcome::DeadLettered(reason) => {
                Outcome::Reject { reason, failure: Box::new(not_dead_lettered()) }
            }
            outcome => outcome,
        }
    }
}

/// The retry policy, together with the breaker that tells an outage from a message's fault.
#[derive(Clone)]
pub(crate) struct Decider {
    pub(crate) retry: Arc<Retry>,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) chance: Chance,
}

impl Decider {
    pub(crate) fn decide(&self, delivery: &mut Delivery, failure: Box<Failure>) -> Outcome {
        let outage = match &failure.kind {
            FailureKind::Unavailable(dependency) => {
                self.breaker.unavailable(dependency.clone());
                None
            }
            FailureKind::Transient | FailureKind::TimedOut => {
                // A redelivery is not another message.
                let seen = std::mem::replace(&mut delivery.failed_here, true);
                let failed_before = delivery.history.first_failed.is_some();
                self.breaker.failed(!seen && (delivery.attempt() <= 1 || !failed_before))
            }
            _ => None,
        };
        remember(delivery, &failure);
        if let Some(Suspicion { dependency, by_ratio }) = outage {
            let after = Some(if by_ratio { MAKES_WAY } else { Duration::ZERO });
            return Outcome::Release { cause: Cause::Unavailable(dependency), after };
        }
        self.retry.decide(failure, delivery.attempt(), delivery.age(), self.chance.draw())
    }
}

/// How long a message that failed during an inferred outage leaves its place to others, where the
/// broker can delay: one of them may show that it is none.
const MAKES_WAY: Duration = Duration::from_secs(300);

/// How long a delivery that met an outage waits in place before it stands in the breaker's line. The line
/// paces the attempts of an outage, and those in it take turns; this is for one that fails so while others
/// succeed.
pub(super) fn pace(after: Option<Duration>) -> Duration {
    const LONGEST: Duration = Duration::from_secs(1);
    after.unwrap_or(LONGEST).min(LONGEST)
}

fn remember(delivery: &mut Delivery, failure: &Failure) {
    let now = Some(SystemTime::now());
    let history = &mut delivery.history;
    history.first_failed = history.first_failed.or(now);
    history.last_failed = now;
    history.last_error = Some(failure.summary());
}
