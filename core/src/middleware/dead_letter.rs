//! Publishes what is given up, and only then lets it be settled (P1).

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    Cancelled, Cause, Delivery, Failure, FailureKind, Middleware, Outcome, Process, Reason,
    broker::{Publish, PublishError},
    consumer::{CALL_DEADLINE, NotPersisted, Room},
    dead_letter::Story,
    idempotency::End,
    store::{Note, Written},
};

/// Where a consumer's dead letters go.
#[derive(Clone)]
pub(crate) struct DeadLetters {
    pub(crate) publisher: Arc<dyn Publish>,
    pub(crate) destination: Arc<str>,
    pub(crate) consumer: Arc<str>,
    pub(crate) group: Arc<str>,
    pub(crate) room: Room,
}

impl Middleware for DeadLetters {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let outcome = match next.run(delivery).await {
            Outcome::Reject { reason, failure } => self.bury(delivery, reason, &failure).await,
            outcome => outcome,
        };
        delivery.conclusion = outcome.conclusion();
        outcome
    }
}

/// What a layer says that has no means to do it.
pub(super) fn not_dead_lettered() -> Failure {
    let text = "a layer says that it is dead-lettered, which it was not";
    Failure::new(FailureKind::Permanent, text)
}

impl DeadLetters {
    /// Publishes the dead letter, waits for its confirmation, and records the message as dead.
    pub(crate) async fn bury(
        &self,
        delivery: &mut Delivery,
        reason: Reason,
        failure: &Failure,
    ) -> Outcome {
        let story = Story::of(delivery, reason, failure, &self.consumer, &self.group);
        let note = Note::new(failure.summary());
        if let Err(cause) = self.publish(delivery, &story).await {
            // It did fail: were the attempt given back, its handler would run once more for each
            // stop of this process during the outage.
            self.write(delivery, End::Fail { after: Duration::ZERO, note }).await;
            return Outcome::release(cause);
        }
        match self.write(delivery, End::Bury(note)).await {
            Some(cause) => Outcome::release(cause),
            None => Outcome::DeadLettered(reason),
        }
    }

    /// Publishes until it is confirmed, as an outage that pauses intake. What the destination
    /// refuses is cut down, step by step, so that one message does not stop the others.
    async fn publish(&self, delivery: &mut Delivery, story: &Story) -> Result<(), Cause> {
        let mut whole = delivery.message.clone();
        whole.payload = delivery.original.clone();
        let mut letter = story.envelope(&whole);
        let mut smaller = [story.bounded_envelope(&whole), story.bare_envelope(&whole)].into_iter();
        let mut outage = None;
        let mut probe = 0;
        loop {
            let published = self.publisher.publish(&self.destination, &letter);
            let error = match timeout(CALL_DEADLINE, published).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(PublishError::Refused(error))) => {
                    tracing::error!(
                        destination = %self.destination, bytes = letter.size(), %error,
                        "the dead letter is refused"
                    );
                    if let Some(cut) = smaller.next() {
                        letter = cut;
                        continue;
                    }
                    error
                }
                Ok(Err(PublishError::Unavailable(error))) => error,
                Err(_) => format!("not confirmed within {CALL_DEADLINE:?}").into(),
            };
            tracing::debug!(destination = %self.destination, %error, "no dead letter");
            let down = || self.room.health().outage_by("dead letters", Some(&*error));
            outage.get_or_insert_with(down);
            probe += 1;
            let pause = tokio::time::sleep(self.room.pause(probe));
            self.room.wait(delivery, pause).await?;
        }
    }

    /// Ends the claim, if there is one. The cause, where it did not end as asked.
    async fn write(&self, delivery: &mut Delivery, end: End) -> Option<Cause> {
        let held = delivery.held.take()?;
        match self.room.end(delivery, &held, end).await {
            Ok(Written::Applied) => None,
            Ok(Written::Fenced) => Some(Cancelled::LeaseLost.into()),
            Err(NotPersisted::Stopped(_)) => Some(Cause::Unknown),
            // The letter is confirmed: to publish it again and again would help nobody.
            Err(NotPersisted::Error(error)) => {
                tracing::error!(%error, "the store refuses the end of a dead letter's record");
                None
            }
        }
    }
}
