//! Waits for the next attempt, in place or by giving the delivery back.

use std::{sync::Arc, time::Duration};

use super::{Meters, decide::pace};
use crate::{
    Backoff, Cancelled, Cause, Delivery, Middleware, Outcome, Process, Retry,
    breaker::{Breaker, Pass},
    broker::Capabilities,
    consumer::Room,
};

/// Repeats what is inside for as long as the next attempt is worth waiting for here.
pub(crate) struct Retrying {
    pub(crate) retry: Arc<Retry>,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) room: Room,
    pub(crate) ordered: bool,
    pub(crate) source: Capabilities,
    pub(crate) meters: Arc<Meters>,
}

impl Middleware for Retrying {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let mut busy = 0;
        loop {
            let pass = match self.admit(delivery).await {
                Ok(pass) => pass,
                Err(reason) => return Outcome::release(reason.into()),
            };
            let outcome = next.run(delivery).await;
            drop(pass);
            let after = match &outcome {
                Outcome::Retry { after, failure } => {
                    self.meters.retried();
                    tracing::info!(
                        attempt = delivery.attempt(), ?after, kind = failure.kind.name(),
                        error = %failure.error_type, "failed, to be tried again"
                    );
                    *after
                }
                Outcome::Release { cause: Cause::Busy, after: Some(lease) } => {
                    busy += 1;
                    self.ask_again(busy).min(*lease)
                }
                Outcome::Release { after: Some(after), .. } => *after,
                _ => return outcome,
            };
            if !self.waits_in_place(delivery, &outcome, after) {
                return outcome;
            }
            let wait = match &outcome {
                Outcome::Release { cause: Cause::Unavailable(_), .. } => pace(Some(after)),
                _ => after,
            };
            if let Err(reason) = self.room.wait(delivery, tokio::time::sleep(wait)).await {
                return self.given_back(delivery, outcome, reason.into());
            }
        }
    }
}

impl Retrying {
    /// Leave for an attempt: none is started while something is down (P8).
    async fn admit(&self, delivery: &mut Delivery) -> Result<Pass, Cancelled> {
        let health = self.room.health();
        let probe = delivery.probe.take();
        if let Some(pass) = probe
            && !health.is_down_but_for(self.breaker.dependency().as_deref())
        {
            return Ok(pass);
        }
        loop {
            if health.is_down_but_for(self.breaker.dependency().as_deref()) {
                // The breaker may open meanwhile: one of those who wait must be its probe.
                self.room.wait(delivery, health.up_but_for(|| self.breaker.dependency())).await?;
                continue;
            }
            return match self.breaker.try_admit() {
                Some(pass) => Ok(pass),
                None => self.room.wait(delivery, self.breaker.admit()).await,
            };
        }
    }

    /// The owner mostly ends long before its lease does, so it is worth asking earlier.
    fn ask_again(&self, times: u32) -> Duration {
        const FIRST: Duration = Duration::from_millis(50);
        const LONGEST: Duration = Duration::from_secs(5);
        const SHORTEST: Duration = Duration::from_millis(5);
        let backoff = Backoff::exponential(FIRST, LONGEST).floor(SHORTEST);
        self.room.chance().wait(&backoff, times)
    }

    fn waits_in_place(&self, delivery: &Delivery, outcome: &Outcome, after: Duration) -> bool {
        if self.ordered || after.is_zero() || !self.is_counted(delivery, outcome) {
            return true;
        }
        let broker_can = self.source.max_delay.is_some_and(|longest| after <= longest);
        // A record that is not due although the broker has waited: this broker comes too early.
        let came_early = matches!(outcome, Outcome::Release { cause: Cause::NotYet, .. });
        let short = came_early || after <= self.retry.in_place();
        !broker_can || (short && self.room.has_share())
    }

    /// Whether a failed attempt is known to whoever gets the message next. One that is not, handed
    /// back, would be the first attempt again, for ever.
    fn is_counted(&self, delivery: &Delivery, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Retry { .. } => {
                let by_broker = delivery.broker_deliveries.unwrap_or_default();
                delivery.recorded
                    || self.source.delays_by_copy
                    || (self.source.counts_deliveries && delivery.attempt() <= by_broker)
            }
            _ => true,
        }
    }

    /// What a wait becomes that is broken off. A failure that is counted keeps its delay; but in
    /// order nothing may be put behind what follows it, as a copy would be.
    fn given_back(&self, delivery: &Delivery, outcome: Outcome, cause: Cause) -> Outcome {
        match outcome {
            Outcome::Retry { .. } if !self.ordered && self.is_counted(delivery, &outcome) => {
                outcome
            }
            _ => Outcome::release(cause),
        }
    }
}
