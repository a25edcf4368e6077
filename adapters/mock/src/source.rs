//! One session: hands deliveries out and takes their settlements.

use std::sync::Arc;

use async_trait::async_trait;
use rand::RngExt;
use steadfast::{
    Delivery, Origin, Receipt,
    broker::{BrokerError, Capabilities, Demand, Hold, Settle, SettleError, Source},
};

use crate::{
    Point,
    crash::Pulse,
    queue::{Holding, Place, Time},
    state::{Session, Shared, State},
};

/// A session of a subscription. Dropping it gives back what it holds, as a closed connection does.
pub(crate) struct MockSource {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: u64,
    pub(crate) pulse: Pulse,
    capabilities: Capabilities,
}

impl MockSource {
    pub(crate) fn new(shared: Arc<Shared>, session: u64) -> Self {
        let capabilities = shared.with(|state, _| state.config.capabilities());
        Self { shared, session, pulse: Pulse::default(), capabilities }
    }

    /// What can be handed out now; `None` when nothing can.
    fn try_receive(&self, demand: Demand) -> Result<Option<Vec<Delivery>>, BrokerError> {
        let received = self.shared.with(|state, now| {
            let session = state.sessions.get(&self.session).ok_or_else(ended)?;
            if session.stopping {
                return Ok(Some(Vec::new()));
            }
            let handed = state.hand_out(&self.shared, self.session, demand, now);
            Ok((!handed.is_empty()).then_some(handed))
        });
        if !matches!(received, Ok(None)) {
            self.shared.changed.notify_waiters();
        }
        received
    }
}

#[async_trait]
impl Source for MockSource {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError> {
        self.pulse.pass(&self.shared.crash, Point::BeforeReceive).await;
        self.shared.with(|state, _| {
            if state.plan.breaks_connection() {
                state.end(self.session);
            }
        });
        loop {
            let changed = self.shared.changed.notified();
            self.pulse.alive().await;
            if let Some(deliveries) = self.try_receive(demand)? {
                if !deliveries.is_empty() {
                    self.pulse.pass(&self.shared.crash, Point::AfterReceive).await;
                }
                return Ok(deliveries);
            }
            changed.await;
        }
    }

    async fn lost(&self) {
        loop {
            let changed = self.shared.changed.notified();
            self.pulse.alive().await;
            if !self.shared.with(|state, _| state.sessions.contains_key(&self.session)) {
                return;
            }
            changed.await;
        }
    }

    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        self.settle_batch(batch).await
    }

    async fn extend(&self, receipts: &[Receipt]) -> Vec<Result<(), SettleError>> {
        self.pulse.alive().await;
        self.shared.update(|state, now| {
            receipts.iter().map(|receipt| state.extend(self.session, *receipt, now)).collect()
        })
    }

    async fn stop(&self) {
        self.pulse.alive().await;
        self.shared.update(|state, _| {
            if let Some(session) = state.sessions.get_mut(&self.session) {
                session.stopping = true;
            }
        });
    }

    async fn close(&self) {
        self.pulse.alive().await;
        self.shared.update(|state, _| state.end(self.session));
    }

    async fn backlog(&self) -> Result<Option<u64>, BrokerError> {
        self.pulse.alive().await;
        self.shared.with(|state, _| {
            let (_, queue) = state.queue(self.session).ok_or_else(ended)?;
            // What waits for its delay, or for another session, is no sign of a stalled session.
            Ok(u64::try_from(queue.deliverable(self.session).count()).ok())
        })
    }
}

impl Drop for MockSource {
    fn drop(&mut self) {
        self.shared.update(|state, _| state.end(self.session));
    }
}

impl State {
    fn hand_out(
        &mut self,
        shared: &Shared,
        session: u64,
        demand: Demand,
        now: Time,
    ) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        let mut bytes = 0;
        while deliveries.len() < demand.messages && bytes < demand.bytes {
            let Some(place) = self.choose(session) else { break };
            let delivery = self.deliver(shared, session, place, now);
            bytes += delivery.message.size();
            deliveries.push(delivery);
            if !self.config.ordered && !place.is_twin() && self.plan.duplicates() {
                // It is the next to be handed out: it stands first of all that wait.
                if let Some((_, queue)) = self.queue(session) {
                    queue.twin(place);
                }
            }
        }
        deliveries
    }

    /// What this session gets next, within its bound.
    fn choose(&mut self, session: u64) -> Option<Place> {
        let reordered = !self.config.ordered && self.plan.reorders();
        let (Session { bound, .. }, queue) = self.queue(session)?;
        let load = queue.load(session);
        if load.messages >= bound.messages || load.bytes >= bound.bytes {
            return None;
        }
        if !reordered {
            return queue.deliverable(session).next();
        }
        let places: Vec<Place> = queue.deliverable(session).collect();
        let any = (!places.is_empty()).then(|| self.rng.random_range(0..places.len()))?;
        places.get(any).copied()
    }

    fn deliver(&mut self, shared: &Shared, session: u64, place: Place, now: Time) -> Delivery {
        let tag = self.new_tag();
        let until = self.config.first_hold().map(|hold| now.saturating_add(hold));
        let counts = self.config.counts_deliveries;
        let (Session { topic, .. }, queue) = self.queue(session).expect("the session is open");
        let source: Arc<str> = topic.as_str().into();
        let entry = queue.hand_out(place, Holding::new(session, tag, now, until));
        let (stored, count) = (&entry.stored, entry.deliveries);
        let origin = Origin::new(source)
            .with_position(stored.position.clone())
            .with_message_id(stored.id.clone())
            .with_published_at(shared.wall(stored.published));
        let mut delivery =
            Delivery::new(stored.message.clone(), origin, Receipt::new(session, tag))
                .with_age(now.saturating_sub(stored.published));
        delivery.broker_deliveries = counts.then_some(count);
        self.tokens.insert(tag, delivery.cancellation().clone());
        delivery
    }

    fn extend(&mut self, session: u64, receipt: Receipt, now: Time) -> Result<(), SettleError> {
        let Hold::Extendable { each, total } = self.config.hold else {
            return Err(SettleError::Unavailable("this hold cannot be extended".into()));
        };
        let (_, queue) = self.queue(session).ok_or(SettleError::Stale)?;
        if receipt.epoch != session {
            return Err(SettleError::Stale);
        }
        queue.extend(session, receipt.tag, now, (each, total)).map_err(|_| SettleError::Stale)
    }
}

fn ended() -> BrokerError {
    BrokerError::unavailable("the session has ended")
}
