//! Publishes what is given up, and only then lets it be settled (P1).

use std::sync::Arc;

use crate::{
    Cause, Delivery, Failure, Middleware, Outcome, Process, Reason,
    broker::{Publish, PublishError},
    consumer::{Patience, Room},
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
            self.write(delivery, End::Fail { after: std::time::Duration::ZERO, note }).await;
            return Outcome::release(cause);
        }
        match self.write(delivery, End::Bury(note)).await {
            Some(cause) => Outcome::release(cause),
            None => Outcome::DeadLettered(reason),
        }
    }

    /// Publishes until it is confirmed, as an outage that pauses intake.
    async fn publish(&self, delivery: &mut Delivery, story: &Story) -> Result<(), Cause> {
        let mut letter = story.envelope(&delivery.message);
        let mut whole = true;
        let mut outage = None;
        let mut probe = 0;
        loop {
            match self.publisher.publish(&self.destination, &letter).await {
                Ok(()) => return Ok(()),
                Err(PublishError::Refused(error)) if whole => {
                    tracing::error!(
                        destination = %self.destination, bytes = letter.size(), %error,
                        "the dead letter is refused: its payload and headers are cut"
                    );
                    letter = story.bounded_envelope(&delivery.message);
                    whole = false;
                    continue;
                }
                Err(error) => {
                    tracing::debug!(destination = %self.destination, %error, "no dead letter");
                    outage.get_or_insert_with(|| self.room.health().outage("dead letters"));
                }
            }
            probe += 1;
            let pause = tokio::time::sleep(self.room.pause(probe));
            self.room.wait(delivery, pause).await?;
        }
    }

    /// Ends the claim, if there is one. The cause, where it did not end as asked.
    async fn write(&self, delivery: &mut Delivery, end: End) -> Option<Cause> {
        let held = delivery.held.take()?;
        match self.room.persist(delivery, Patience::ToTheEnd, || held.write(&end)).await {
            Ok(Written::Applied) => None,
            Ok(Written::Fenced) => Some(crate::Cancelled::LeaseLost.into()),
            Err(_) => Some(Cause::Unknown),
        }
    }
}
