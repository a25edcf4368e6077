//! Tells the broker what became of deliveries, and keeps the holds of the others.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, MissedTickBehavior, timeout},
};

use super::{
    RunError,
    flights::{Flights, Permit},
    health::{Health, Outage},
    lanes::GoingBack,
    session::{CALL_DEADLINE, Session},
};
use crate::{
    Cancellation, Cancelled,
    broker::{Hold, Settle, SettleError, Settlement},
    chance::Chance,
    clock::{from_now, period, reach},
    middleware::Meters,
};

/// A delivery on its way out. Its permit is held until it is settled.
pub(crate) struct Leaving {
    pub(crate) settle: Settle,
    pub(crate) permit: Permit,
    /// Keeps its lane closed, where it did not end.
    pub(crate) going_back: Option<GoingBack>,
}

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
    failures: u32,
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
        let mut batch = Vec::with_capacity(BATCH);
        let mut again: Vec<Again> = Vec::new();
        let mut settling = FuturesUnordered::new();
        let mut open = true;
        let mut draining = false;
        while open || !again.is_empty() || !settling.is_empty() {
            let next = again.iter().map(|again| again.at).min();
            tokio::select! {
                biased;
                _ = tick.tick() => {
                    again.retain(|again| !again.leaving.permit.is_taken_back());
                    self.extend().await;
                }
                Some(failed) = settling.next(), if !settling.is_empty() => again.extend(failed),
                _ = self.draining.cancelled(), if !draining => {
                    draining = true;
                    again.iter_mut().for_each(|again| again.at = Instant::now());
                }
                () = reach(next), if next.is_some() && settling.is_empty() => {
                    let now = Instant::now();
                    let (due, later) = again.into_iter().partition(|again| again.at <= now);
                    again = later;
                    settling.push(self.settle(due));
                }
                received = leaving.recv_many(&mut batch, BATCH), if open && settling.is_empty() => {
                    open = received > 0;
                    settling.push(self.settle(batch.drain(..).map(Again::first).collect()));
                }
            }
        }
        RunError::Internal("the settler ended".into())
    }

    /// Settles a batch, each session's part in one call. Returns what must be tried again.
    async fn settle(&self, batch: Vec<Again>) -> Vec<Again> {
        let mut again = Vec::new();
        let mut rest = batch;
        while let Some(first) = rest.first() {
            let session = Arc::clone(&first.leaving.permit.session);
            let (same, others) = rest
                .into_iter()
                .partition(|one| Arc::ptr_eq(&one.leaving.permit.session, &session));
            rest = others;
            again.extend(self.settle_with(&session, same).await);
        }
        again
    }

    async fn settle_with(&self, session: &Arc<Session>, batch: Vec<Again>) -> Vec<Again> {
        if session.is_over() {
            self.meters.settle_failures.increment(batch.len() as u64);
            return Vec::new();
        }
        let wearing_off: Vec<_> = batch
            .iter()
            .filter(|one| one.leaving.permit.is_wearing_off())
            .map(|one| one.leaving.settle.receipt)
            .collect();
        let (settles, kept): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|Again { leaving: Leaving { settle, permit, going_back }, failures, .. }| {
                permit.settling(true);
                (settle, (permit, going_back, failures))
            })
            .unzip();
        let source = &session.source;
        let calls = async {
            if !wearing_off.is_empty() {
                // One that cannot be extended any more cannot be settled either, and says so then.
                let _ = source.extend(&wearing_off).await;
            }
            source.settle(&settles).await
        };
        let answers = match timeout(CALL_DEADLINE, calls).await {
            Ok(answers) if answers.len() == settles.len() => answers,
            answered => {
                tracing::error!(
                    asked = settles.len(),
                    answered = answered.map_or(0, |answers| answers.len()),
                    "the source did not answer for each settlement in time: the session ends"
                );
                self.meters.settle_failures.increment(settles.len() as u64);
                session.end();
                return Vec::new();
            }
        };
        let answered = settles.into_iter().zip(kept).zip(answers);
        answered
            .filter_map(|((settle, (permit, going_back, failures)), answer)| {
                let error = answer.err()?;
                self.meters.settle_failures.increment(1);
                permit.settling(false);
                self.after_failure(Leaving { settle, permit, going_back }, failures + 1, error)
            })
            .collect()
    }

    fn after_failure(
        &self,
        mut leaving: Leaving,
        failures: u32,
        error: SettleError,
    ) -> Option<Again> {
        match error {
            SettleError::Stale => None,
            SettleError::Unavailable(error) => {
                tracing::debug!(%error, failures, "not settled yet");
                let at = from_now(self.chance.pause(failures));
                Some(Again { leaving, at, failures, _outage: Some(self.health.outage("broker")) })
            }
            SettleError::Refused(error) => {
                let Settlement::Requeue { delay, .. } = leaving.settle.settlement else {
                    tracing::error!(%error, "the source refuses a settlement that needs no copy");
                    return None;
                };
                leaving.settle.settlement = Settlement::Release;
                let delay = if self.draining.reason().is_some() { Duration::ZERO } else { delay };
                Some(Again { leaving, at: from_now(delay), failures, _outage: None })
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

impl Again {
    fn first(leaving: Leaving) -> Self {
        Self { leaving, at: Instant::now(), failures: 0, _outage: None }
    }
}
