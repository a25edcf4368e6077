//! What becomes of a delivery that is settled.

use std::time::Duration;

use steadfast::broker::{Settle, SettleError, Settlement};

use crate::{
    Point, config::Delays, faults::Refusal, queue::Time, source::MockSource, state::State,
};

impl MockSource {
    pub(crate) async fn settle_batch(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        self.pulse.alive().await;
        if self.shared.update(|state, _| state.plan.fails_settle()) {
            return batch.iter().map(|_| Err(unavailable())).collect();
        }
        let mut answers = Vec::with_capacity(batch.len());
        for settle in batch {
            answers.push(self.settle_one(settle).await);
        }
        answers
    }

    async fn settle_one(&self, settle: &Settle) -> Result<(), SettleError> {
        let crash = &self.shared.crash;
        self.pulse.pass(crash, Point::BeforeSettle).await;
        let step = self.shared.update(|state, now| state.settle(self.session, settle, now))?;
        if let Step::Copy(delay) = step {
            self.pulse.pass(crash, Point::BeforePublish).await;
            self.shared.update(|state, now| state.copy(self.session, settle, delay, now))?;
            self.pulse.pass(crash, Point::AfterPublish).await;
            self.shared.update(|state, _| state.ack(self.session, settle))?;
        }
        self.pulse.pass(crash, Point::AfterSettle).await;
        Ok(())
    }
}

/// What follows.
enum Step {
    Settled,
    /// The delay needs a copy, and then an ack.
    Copy(Duration),
}

impl State {
    fn settle(&mut self, session: u64, settle: &Settle, now: Time) -> Result<Step, SettleError> {
        match settle.settlement {
            Settlement::Ack => self.ack(session, settle)?,
            Settlement::Release => self.give_back(session, settle, None, false)?,
            Settlement::Requeue { delay, counted } => match self.config.delays {
                Delays::ByCopy if !delay.is_zero() => return Ok(Step::Copy(delay)),
                Delays::Native(longest) if !delay.is_zero() => {
                    let until = now.saturating_add(delay.min(longest));
                    self.give_back(session, settle, Some(until), counted)?;
                }
                _ => self.give_back(session, settle, None, counted)?,
            },
            _ => return Err(SettleError::Unavailable("an unknown settlement".into())),
        }
        Ok(Step::Settled)
    }

    fn ack(&mut self, session: u64, settle: &Settle) -> Result<(), SettleError> {
        self.validate(session, settle)?;
        let lost = self.plan.loses_ack();
        let (_, queue) = self.queue(session).ok_or(SettleError::Stale)?;
        let tag = settle.receipt.tag;
        let acked = if lost { queue.lose_ack(session, tag) } else { queue.ack(session, tag) };
        acked.map_err(|_| SettleError::Stale)?;
        self.tokens.remove(&tag);
        if lost && self.config.first_hold().is_none() {
            // Such brokers lose an ack with its connection only; nothing else brings it back.
            self.end(session);
        }
        Ok(())
    }

    fn give_back(
        &mut self,
        session: u64,
        settle: &Settle,
        until: Option<Time>,
        counted: bool,
    ) -> Result<(), SettleError> {
        self.validate(session, settle)?;
        let (_, queue) = self.queue(session).ok_or(SettleError::Stale)?;
        let tag = settle.receipt.tag;
        queue.give_back(session, tag, until, counted).map_err(|_| SettleError::Stale)?;
        self.tokens.remove(&tag);
        Ok(())
    }

    /// Publishes the copy that comes again after the delay.
    fn copy(
        &mut self,
        session: u64,
        settle: &Settle,
        delay: Duration,
        now: Time,
    ) -> Result<(), SettleError> {
        let id = self.validate(session, settle)?;
        let id = if self.config.stable_ids { id } else { self.new_id() };
        let copy = settle.retry_copy();
        let Some(session) = self.sessions.get(&session) else { return Err(SettleError::Stale) };
        let (topic, group) = (session.topic.clone(), session.group.clone());
        let destination = format!("{topic}.retry");
        match self.plan.refuses_publish(&destination) {
            Some(Refusal::Unavailable) => return Err(unavailable()),
            Some(Refusal::Refused) => return Err(SettleError::Refused("by the fault plan".into())),
            None => {}
        }
        if !self.config.fits(copy.size()) {
            return Err(SettleError::Refused("the copy is too large".into()));
        }
        if let Some(topic) = self.topics.get_mut(&topic) {
            topic.copy(&group, copy, id, (now, now.saturating_add(delay)));
        }
        if self.plan.loses_confirm(&destination) { Err(unavailable()) } else { Ok(()) }
    }

    /// The id of the message that this receipt holds.
    fn validate(&mut self, session: u64, settle: &Settle) -> Result<String, SettleError> {
        let receipt = settle.receipt;
        let (_, queue) = self.queue(session).ok_or(SettleError::Stale)?;
        match queue.valid(session, receipt.tag) {
            Ok(entry) if receipt.epoch == session => Ok(entry.stored.id.clone()),
            _ => Err(SettleError::Stale),
        }
    }
}

fn unavailable() -> SettleError {
    SettleError::Unavailable("the connection to the mock broker failed".into())
}
