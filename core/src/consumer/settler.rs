//! Tells the broker what became of deliveries, and keeps the holds of the others.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{Fuse, FusedFuture},
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, MissedTickBehavior, timeout},
};

use super::{
    RunError,
    batch::{Batch, Leaving},
    flights::Flights,
    health::{Health, Outage},
    session::CALL_DEADLINE,
};
use crate::{
    Cancellation, Cancelled,
    broker::{Hold, SettleError, Settlement},
    chance::Chance,
    clock::{from_now, period, reach},
    middleware::Meters,
};

/// The only one who settles and extends, so that no extension meets a settlement of the same
/// delivery. What ends while a call is under way makes up the next batch: one at low load, many
/// under load.
pub(crate) struct Settler {
    pub(crate) flights: Arc<Flights>,
    pub(crate) health: Health,
    pub(crate) meters: Arc<Meters>,
    pub(crate) chance: Chance,
    pub(crate) draining: Cancellation,
    /// How often holds are looked at.
    pub(crate) hold: Hold,
}

/// A settlement that did not go through.
struct Again {
    leaving: Leaving,
    at: Instant,
    _outage: Option<Outage>,
}

/// Most deliveries in one call.
const BATCH: usize = 512;

impl Settler {
    /// Runs until no more can leave and all has been settled or given up.
    pub(crate) async fn run(self, mut leaving: UnboundedReceiver<Leaving>) -> RunError {
        const LONGEST: Duration = Duration::from_secs(5);
        let look = match self.hold {
            Hold::Extendable { each, .. } => period(each / 6).min(LONGEST),
            _ => LONGEST,
        };
        let mut tick = tokio::time::interval(look);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut left = Vec::with_capacity(BATCH);
        let mut again: Vec<Again> = Vec::new();
        let mut settling = pin!(Fuse::terminated());
        let mut open = true;
        let mut stopping = pin!(self.draining.cancelled());
        let mut draining = false;
        while open || !again.is_empty() || !settling.is_terminated() {
            let next = again.iter().map(|again| again.at).min();
            tokio::select! {
                biased;
                _ = tick.tick() => {
                    again.retain(|again| !again.leaving.stub.permit.is_taken_back());
                    self.extend().await;
                }
                failed = &mut settling, if !settling.is_terminated() => again.extend(failed),
                _ = &mut stopping, if !draining => {
                    draining = true;
                    again.iter_mut().for_each(|again| again.at = Instant::now());
                }
                () = reach(next), if next.is_some() && settling.is_terminated() => {
                    let now = Instant::now();
                    let (due, later) = again.into_iter().partition::<Vec<_>, _>(|again| again.at <= now);
                    again = later;
                    let due = due.into_iter().map(|again| again.leaving);
                    settling.set(self.settle(Batch::by_session(due)).fuse());
                }
                received = leaving.recv_many(&mut left, BATCH), if open && settling.is_terminated() => {
                    open = received > 0;
                    settling.set(self.settle(Batch::by_session(left.drain(..))).fuse());
                }
            }
        }
        RunError::Internal("the settler ended".into())
    }

    /// Settles each session's part in one call. Returns what must be tried again.
    async fn settle(&self, batches: Vec<Batch>) -> Vec<Again> {
        let mut again = Vec::new();
        for batch in batches {
            again.extend(self.settle_one(batch).await);
        }
        again
    }

    async fn settle_one(&self, batch: Batch) -> Vec<Again> {
        let asked = batch.len();
        let Batch { session, settles, stubs } = batch;
        if session.is_over() {
            self.meters.settle_failures.increment(asked as u64);
            return Vec::new();
        }
        let wearing_off: Vec<_> = (settles.iter().zip(&stubs))
            .filter(|(_, stub)| stub.permit.is_wearing_off())
            .map(|(settle, _)| settle.receipt)
            .collect();
        stubs.iter().for_each(|stub| stub.permit.settling(true));
        let source = &session.source;
        let calls = async {
            if !wearing_off.is_empty() {
                // One that cannot be extended any more cannot be settled either, and says so then.
                let _ = source.extend(&wearing_off).await;
            }
            source.settle(&settles).await
        };
        let answers = match timeout(CALL_DEADLINE, calls).await {
            Ok(answers) if answers.len() == asked => answers,
            answered => {
                tracing::error!(
                    asked,
                    answered = answered.map_or(0, |answers| answers.len()),
                    "the source did not answer for each settlement in time: the session ends"
                );
                self.meters.settle_failures.increment(asked as u64);
                session.end();
                return Vec::new();
            }
        };
        if answers.iter().all(Result::is_ok) {
            return Vec::new();
        }
        let answered = settles.into_iter().zip(stubs).zip(answers);
        answered
            .filter_map(|((settle, mut stub), answer)| {
                let error = answer.err()?;
                self.meters.settle_failures.increment(1);
                stub.permit.settling(false);
                stub.failures += 1;
                self.after_failure(Leaving { settle, stub }, error)
            })
            .collect()
    }

    fn after_failure(&self, mut leaving: Leaving, error: SettleError) -> Option<Again> {
        let failures = leaving.stub.failures;
        match error {
            SettleError::Stale => None,
            SettleError::Unavailable(error) => {
                tracing::debug!(%error, failures, "not settled yet");
                let at = from_now(self.chance.pause(failures));
                Some(Again { leaving, at, _outage: Some(self.health.outage("broker")) })
            }
            SettleError::Refused(error) => {
                let Settlement::Requeue { delay, .. } = leaving.settle.settlement else {
                    tracing::error!(%error, "the source refuses a settlement that needs no copy");
                    return None;
                };
                leaving.settle.settlement = Settlement::Release;
                let delay = if self.draining.reason().is_some() { Duration::ZERO } else { delay };
                Some(Again { leaving, at: from_now(delay), _outage: None })
            }
        }
    }

    /// Extends the holds that are due.
    async fn extend(&self) {
        for (session, batch) in self.flights.due_for_extension() {
            if session.is_over() {
                continue;
            }
            let (receipts, cancellations): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let Ok(answers) = timeout(CALL_DEADLINE, session.source.extend(&receipts)).await else {
                tracing::warn!("the broker did not answer to an extension: the session ends");
                session.end();
                continue;
            };
            for (cancellation, answer) in cancellations.iter().zip(answers) {
                if let Err(SettleError::Stale) = answer {
                    cancellation.trip(Cancelled::Revoked);
                }
            }
        }
    }
}
