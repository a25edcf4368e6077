//! Runs a message only if its record says so, and records what became of it.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use super::Decider;
use crate::{
    Cancelled, Cause, DedupKey, Delivery, Ended, Failure, FailureKind, Middleware, Outcome,
    Process, Reason,
    consumer::{NotPersisted, Patience, Room, in_time},
    dead_letter::Story,
    idempotency::{End, Held, Leases},
    store::{Answer, Claim, Digest, Grant, Key, Note, RecordId, Scope, Store, StoreError, Written},
};

/// What a consumer remembers, and where.
pub(crate) struct Memory<M> {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) scope: Scope,
    pub(crate) key: DedupKey<M>,
    pub(crate) lease: Duration,
    pub(crate) retention: Duration,
    pub(crate) transactional: bool,
}

/// Counts the attempt, durably where there is a store, before the handler runs (P6).
pub(crate) struct Idempotency<M> {
    pub(crate) memory: Option<Memory<M>>,
    pub(crate) decider: Decider,
    pub(crate) room: Room,
}

impl<M: 'static> Middleware for Idempotency<M> {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        match &self.memory {
            Some(memory) => self.with_memory(memory, delivery, next).await,
            None => {
                delivery.attempt = delivery.attempt.saturating_add(1);
                if delivery.attempt > self.decider.retry.attempts() {
                    return abandoned(delivery);
                }
                let outcome = next.run(delivery).await;
                if matches!(outcome, Outcome::Release { .. }) {
                    delivery.attempt = delivery.attempt.saturating_sub(1);
                }
                outcome
            }
        }
    }
}

impl<M: 'static> Idempotency<M> {
    async fn with_memory(
        &self,
        memory: &Memory<M>,
        delivery: &mut Delivery,
        next: &impl Process,
    ) -> Outcome {
        end_what_was_left(&self.room, delivery).await;
        let id = match identify(memory, delivery) {
            Ok(id) => id,
            Err(failure) => {
                delivery.attempt = delivery.attempt.saturating_add(1);
                return self.decider.decide(delivery, Box::new(failure));
            }
        };
        let grant = match self.claim(memory, delivery, &id).await {
            Ok(grant) => grant,
            Err(outcome) => return outcome,
        };
        delivery.attempt = grant.attempts;
        delivery.history = grant.history;
        let lease = memory.leases.keep(id.clone(), grant.token, delivery.cancellation().clone());
        let held = Held::new(Arc::clone(&memory.store), id, grant.token, lease);
        if grant.attempts > self.decider.retry.attempts() {
            held.attempt_ended();
            delivery.held = Some(held);
            return abandoned(delivery);
        }
        delivery.transaction = if memory.transactional { held.lend() } else { None };
        delivery.held = Some(held);
        let outcome = next.run(delivery).await;
        self.record(delivery, outcome).await
    }

    /// The claim, or the outcome without one.
    async fn claim(
        &self,
        memory: &Memory<M>,
        delivery: &mut Delivery,
        id: &RecordId,
    ) -> Result<Grant, Outcome> {
        let digest = Digest::of(delivery.original.as_ref());
        let mut claim = Claim::new(id.clone(), digest, memory.lease, memory.retention);
        claim.owner = *delivery.claims_as.get_or_insert(claim.owner);
        // The store itself: its `Arc` is a store too, whose calls would each be boxed once more.
        let store = &*memory.store;
        let mut rearmed = false;
        loop {
            let answer =
                self.room.persist(delivery, Patience::WhileHeld, || store.claim(&claim)).await;
            match answer.map_err(|error| self.not_claimed(delivery, error))? {
                Answer::Granted(grant) => {
                    delivery.claims_as = None;
                    return Ok(grant);
                }
                Answer::Done => return Err(Outcome::Duplicate(Ended::Done)),
                Answer::Busy(wait) => return Err(come_back(Cause::Busy, wait)),
                Answer::NotYet(wait) => return Err(come_back(Cause::NotYet, wait)),
                Answer::Conflict => {
                    let text = "the dedup key belongs to a message with another payload";
                    let failure = Failure::new(FailureKind::Conflict, text);
                    return Err(self.decider.decide(delivery, Box::new(failure)));
                }
                // A dead letter that was moved back or redriven: it asks to run again, once.
                Answer::Dead { fence } if !rearmed && Story::fence_of(delivery) == Some(fence) => {
                    rearmed = true;
                    let rearm = || store.rearm(id, Some(fence));
                    let written = self.room.persist(delivery, Patience::WhileHeld, rearm).await;
                    let _ = written.map_err(|error| self.not_claimed(delivery, error))?;
                }
                Answer::Dead { .. } => return Err(Outcome::Duplicate(Ended::Dead)),
            }
        }
    }

    fn not_claimed(&self, delivery: &mut Delivery, error: NotPersisted) -> Outcome {
        match error {
            NotPersisted::Stopped(reason) => Outcome::release(reason.into()),
            NotPersisted::Error(error) => {
                delivery.attempt = delivery.attempt.saturating_add(1);
                let failure = Failure::from_error(FailureKind::Permanent, &error);
                self.decider.decide(delivery, Box::new(failure))
            }
        }
    }

    /// Writes down what became of the attempt. What cannot be written is not acked (P2).
    async fn record(&self, delivery: &mut Delivery, outcome: Outcome) -> Outcome {
        if let Some(held) = &delivery.held {
            held.attempt_ended();
        }
        let failed = matches!(outcome, Outcome::Retry { .. } | Outcome::Reject { .. });
        let ended = !failed && !matches!(outcome, Outcome::Release { .. });
        if ended && let Some(transaction) = delivery.transaction.take() {
            let committed = in_time(transaction.complete()).await;
            return self.committed(delivery, committed, outcome).await;
        }
        let outcome = match roll_back(delivery).await {
            Err(error)
                if failed
                    || matches!(outcome, Outcome::Release { cause: Cause::Unavailable(_), .. }) =>
            {
                tracing::debug!(%error, "an outage broke the attempt");
                // One that was open has counted the failure.
                if self.decider.breaker.dependency().is_none() {
                    self.decider.breaker.unavailable(TRANSACTION);
                }
                broken_by_outage()
            }
            _ => outcome,
        };
        let end = match &outcome {
            Outcome::Retry { after, failure } => {
                End::Fail { after: *after, note: Note::new(failure.summary()) }
            }
            Outcome::Release { .. } => End::Release,
            // The claim stays open, and renewed, until the dead letter is confirmed.
            Outcome::Reject { .. } => return outcome,
            _ => End::Complete,
        };
        self.end(delivery, end, outcome, Cancelled::LeaseLost.into()).await
    }

    /// Ends the claim; `fenced` is why the message is released if it was not held any more.
    async fn end(
        &self,
        delivery: &mut Delivery,
        end: End,
        outcome: Outcome,
        fenced: Cause,
    ) -> Outcome {
        let Some(held) = delivery.held.take() else { return outcome };
        match self.room.end(delivery, &held, end).await {
            Ok(Written::Applied) => {
                delivery.recorded = true;
                outcome
            }
            Ok(Written::Fenced) => Outcome::release(fenced),
            Err(_) => Outcome::release(Cause::Unknown),
        }
    }

    /// What the end of a lent transaction makes of a success.
    async fn committed(
        &self,
        delivery: &mut Delivery,
        committed: Result<Written, StoreError>,
        outcome: Outcome,
    ) -> Outcome {
        match committed {
            Ok(Written::Applied) => {
                self.decider.breaker.succeeded();
                delivery.held = None;
                outcome
            }
            Ok(Written::Fenced) => {
                self.decider.breaker.succeeded();
                delivery.held = None;
                Outcome::release(Cancelled::LeaseLost.into())
            }
            // Whether it committed is not known. If it did not, the attempt is given back; if it
            // did, this is fenced, and the record says so to the next delivery.
            Err(StoreError::Unavailable(_)) => {
                self.decider.breaker.unavailable(TRANSACTION);
                let outcome = broken_by_outage();
                self.end(delivery, End::Release, outcome, Cause::Unknown).await
            }
            Err(error) => {
                let kind = match error {
                    StoreError::Refused(_) => FailureKind::Permanent,
                    _ => FailureKind::Transient,
                };
                let failure = Box::new(Failure::from_error(kind, &error));
                let outcome = self.decider.decide(delivery, failure);
                Box::pin(self.record(delivery, outcome)).await
            }
        }
    }
}

/// Ends the claim of an attempt that never came back here: a layer outside panicked, or dropped what
/// is inside. It counts as failed.
pub(super) async fn end_what_was_left(room: &Room, delivery: &mut Delivery) {
    let _ = roll_back(delivery).await;
    if let Some(held) = delivery.held.take() {
        let note = Note::new("a layer outside gave the attempt up");
        // What cannot be written down ends with its lease.
        let _ = room.end(delivery, &held, End::Fail { after: Duration::ZERO, note }).await;
    }
}

async fn roll_back(delivery: &mut Delivery) -> Result<(), StoreError> {
    match delivery.transaction.take() {
        Some(transaction) => transaction.roll_back().await,
        None => Ok(()),
    }
}

/// What is down when a transaction is lost. Where its connection alone was, nothing else would be, and without the
/// breaker the attempt would be made again and again.
const TRANSACTION: Cow<'static, str> = Cow::Borrowed("transaction");

/// The attempt is made again here, in its turn as a probe.
fn broken_by_outage() -> Outcome {
    Outcome::Release { cause: Cause::Unavailable(TRANSACTION), after: Some(Duration::ZERO) }
}

fn identify<M: 'static>(memory: &Memory<M>, delivery: &mut Delivery) -> Result<RecordId, Failure> {
    let raw = std::panic::catch_unwind(AssertUnwindSafe(|| memory.key.extract(delivery)))
        .map_err(|payload| Failure::panicked("the dedup key function", payload))?;
    let named = raw.and_then(|raw| Some((Key::new(&raw)?, raw)));
    let (key, raw) = named.ok_or_else(|| {
        let text = format!("dedup_key: {:?} gave no key, or an empty one", memory.key);
        Failure::new(FailureKind::NoDedupKey, text)
    })?;
    delivery.dedup_key = Some(raw);
    Ok(RecordId::new(memory.scope.clone(), key))
}

fn come_back(cause: Cause, wait: Duration) -> Outcome {
    Outcome::Release { cause, after: Some(wait) }
}

/// More claims than the policy allows, and none came to an end: whoever ran it died.
fn abandoned(delivery: &Delivery) -> Outcome {
    let text = match &delivery.history.last_error {
        Some(error) => format!("the last attempt did not end; before it: {error}"),
        None => "no attempt came to an end: the process died, or lost its lease".to_owned(),
    };
    let failure = Box::new(Failure::new(FailureKind::Abandoned, text));
    Outcome::Reject { reason: Reason::Exhausted, failure }
}
