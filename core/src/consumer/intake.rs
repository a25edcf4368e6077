//! Receives what fits, from one session after another.

use std::{
    future::Future,
    ops::ControlFlow,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    RunError,
    check::{self, Facts, Seen},
    desk::Desk,
    flights::{Flight, Flights},
    health::Health,
    policy::{OrderedBy, Policy},
    session::{CALL_DEADLINE, Reopening, Session},
    watchdog::Progress,
};
use crate::{
    Cancellation, Cancelled, Delivery,
    breaker::{self, Breaker},
    broker::{Broker, BrokerError, Demand, Subscription},
    chance::Chance,
    clock::from_now,
    headers,
};

/// Takes deliveries in while there is room and nothing that they need is down.
pub(crate) struct Intake {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) subscription: Subscription,
    pub(crate) policy: Arc<Policy>,
    pub(crate) facts: Facts,
    pub(crate) flights: Arc<Flights>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) health: Health,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) bell: Arc<Notify>,
    pub(crate) draining: Cancellation,
    pub(crate) progress: Arc<Progress>,
    pub(crate) chance: Chance,
}

const PAUSE: Duration = Duration::from_millis(5);

/// Why no more comes from a session.
enum Ended {
    Draining,
    Lost,
}

impl Intake {
    /// Runs until draining. The last session stays open: the rest is settled through it.
    pub(crate) async fn run(self, first: Arc<Session>) -> Result<(), RunError> {
        let mut session = first;
        let mut reopening = Reopening::new();
        let mut closing = JoinSet::new();
        loop {
            self.progress.enter(&session);
            if let Ended::Draining = self.receive_from(&session).await? {
                // What comes no more was not asked for.
                self.progress.receiving(false);
                return Ok(());
            }
            tracing::warn!("the session with the broker has ended");
            let _outage = self.health.outage("broker");
            self.flights.cancel(Cancelled::Revoked, Some(&session));
            let lost = Arc::clone(&session);
            closing.spawn(async move { lost.close().await });
            while closing.try_join_next().is_some() {}
            let next = reopening.session(&*self.broker, &self.subscription, &self.chance);
            session = tokio::select! {
                biased;
                _ = self.draining.cancelled() => return Ok(()),
                opened = next => opened?,
            };
            if let Err(findings) = check::at_start(&self.facts, &Seen::of(session.capabilities())) {
                session.close().await;
                return Err(findings.into());
            }
        }
    }

    async fn receive_from(&self, session: &Arc<Session>) -> Result<Ended, BrokerError> {
        // One wait for as long as the session lasts, not one for each call.
        let mut ended = pin!(self.ended(session));
        loop {
            let demand = match self.wait_for_demand(session, ended.as_mut()).await {
                ControlFlow::Continue(demand) => demand,
                ControlFlow::Break(ended) => return Ok(ended),
            };
            self.progress.receiving(true);
            let mut receiving = session.source.receive(demand);
            let received = tokio::select! {
                biased;
                ended = &mut ended => {
                    if let Ended::Draining = ended {
                        stop(session).await;
                        match timeout(CALL_DEADLINE, receiving).await {
                            Ok(Ok(late)) => self.board(late, session),
                            _ => tracing::warn!("the source ended its last call with an error"),
                        }
                    }
                    return Ok(ended);
                }
                received = &mut receiving => received,
            };
            match received {
                // "Nothing yet" may be answered at once: it must not become a loop without a pause.
                Ok(nothing) if nothing.is_empty() => tokio::time::sleep(PAUSE).await,
                Ok(deliveries) => self.board(deliveries, session),
                Err(BrokerError::Unavailable(error)) => {
                    tracing::warn!(%error, "cannot receive");
                    return Ok(Ended::Lost);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until something may be taken.
    async fn wait_for_demand(
        &self,
        session: &Session,
        mut ended: Pin<&mut impl Future<Output = Ended>>,
    ) -> ControlFlow<Ended, Demand> {
        loop {
            let look_again = match self.demand() {
                Ok(demand) => return ControlFlow::Continue(demand),
                Err(look_again) => {
                    self.progress.receiving(false);
                    look_again
                }
            };
            tokio::select! {
                biased;
                ended = &mut ended => {
                    if let Ended::Draining = ended {
                        stop(session).await;
                    }
                    return ControlFlow::Break(ended);
                }
                () = session.source.lost() => return ControlFlow::Break(Ended::Lost),
                () = self.bell.notified() => {}
                () = tokio::time::sleep_until(look_again) => {}
            }
        }
    }

    /// Waits until nothing more is to be taken from the session.
    async fn ended(&self, session: &Session) -> Ended {
        tokio::select! {
            biased;
            _ = self.draining.cancelled() => Ended::Draining,
            () = session.over() => Ended::Lost,
        }
    }

    /// What may be taken now, or when to look again at the latest.
    fn demand(&self) -> Result<Demand, Instant> {
        /// Whoever changes something rings the bell.
        const LOOK_AGAIN: Duration = Duration::from_secs(60);
        let later = || from_now(LOOK_AGAIN);
        let fits = self.flights.demand().ok_or_else(later)?;
        let dependency = self.breaker.dependency();
        let down = self.health.is_down_but_for(dependency.as_deref());
        if down || self.desk.lanes.waiting() > self.policy.waiting_share() {
            return Err(later());
        }
        match self.breaker.intake(self.flights.len()) {
            breaker::Intake::Free => Ok(fits),
            breaker::Intake::Probe => {
                self.breaker.fetches();
                Ok(Demand::new(1, fits.bytes))
            }
            breaker::Intake::PausedUntil(until) => Err(until),
        }
    }

    fn board(&self, deliveries: Vec<Delivery>, session: &Arc<Session>) {
        self.progress.received();
        let boarding = deliveries.into_iter().map(|mut delivery| {
            restore(&mut delivery, self.policy.retry.attempts());
            delivery.lane = match &self.policy.ordered_by {
                None => None,
                Some(OrderedBy::Key) => delivery.message.key.clone(),
                Some(OrderedBy::Header(name)) => delivery.message.headers.first(name).cloned(),
                Some(OrderedBy::Partition) => Some(partition(&delivery)),
            };
            let permit = self.flights.board(&delivery, session);
            Flight { delivery, permit }
        });
        for flight in self.desk.lanes.push(boarding) {
            self.desk.turn_away(flight);
        }
    }
}

/// The lane of a partition; a source that has none is one lane.
fn partition(delivery: &Delivery) -> Bytes {
    let number = delivery.origin.partition;
    number.map(|number| Bytes::copy_from_slice(&number.to_be_bytes())).unwrap_or_default()
}

async fn stop(session: &Session) {
    if timeout(CALL_DEADLINE, session.source.stop()).await.is_err() {
        tracing::warn!("the source did not stop within {CALL_DEADLINE:?}");
    }
}

/// Gives a retry copy the face of its original, and counts from what is known. The broker's count
/// includes deliveries that were no attempts, so that it alone never denies a message its last one.
fn restore(delivery: &mut Delivery, max_attempts: u32) {
    let before = delivery.broker_deliveries.unwrap_or_default().saturating_sub(1);
    delivery.attempt = before.min(max_attempts.saturating_sub(1));
    if let Some(copy) = headers::RETRY_COPY.take(&mut delivery.message.headers) {
        delivery.attempt = delivery.attempt.max(copy.attempts);
        delivery.history = copy.history;
        delivery.restore_origin(copy.origin);
    }
    if let Some(id) = headers::take_redriven_id(&mut delivery.message.headers) {
        delivery.origin.message_id = Some(id);
    }
}
