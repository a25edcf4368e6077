//! What becomes of a delivery that is settled.

use futures::future::join_all;
use steadfast::broker::{PublishError, Settle, SettleError, Settlement};

use crate::{retry_topics::Tier, source::KafkaSource, state::State};

/// What a settlement needs.
enum Step<'a> {
    Settled(Result<(), SettleError>),
    /// A copy in this topic, and then an ack.
    Copy(&'a str),
}

impl KafkaSource {
    pub(crate) async fn settle_batch(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        let mut copies = Vec::new();
        let mut first_step =
            |state: &mut State, index: usize| match self.first_step(state, &batch[index]) {
                Step::Settled(answer) => answer,
                Step::Copy(topic) => {
                    copies.push((index, topic));
                    Ok(())
                }
            };
        let mut answers: Vec<_> = self
            .shared
            .update(|state| (0..batch.len()).map(|index| first_step(state, index)).collect());
        let copying = copies
            .into_iter()
            .map(|(index, topic)| async move { (index, self.copy(&batch[index], topic).await) });
        for (index, answer) in join_all(copying).await {
            answers[index] = answer;
        }
        if let Some(copies) = &self.copies {
            copies.keep(|receipt| self.shared.state().holder(*receipt).is_ok());
        }
        answers
    }

    fn first_step(&self, state: &mut State, settle: &Settle) -> Step<'_> {
        let partition = match state.holder(settle.receipt) {
            Ok(partition) => partition,
            Err(error) => return Step::Settled(Err(error)),
        };
        let tag = settle.receipt.tag;
        match settle.settlement {
            Settlement::Ack => partition.ack(tag),
            Settlement::Requeue { delay, .. } if !delay.is_zero() => {
                match Tier::for_wait(&self.shared.tiers, delay) {
                    Some(tier) => return Step::Copy(&tier.topic),
                    None => partition.give_back(tag),
                }
            }
            _ => partition.give_back(tag),
        };
        Step::Settled(Ok(()))
    }

    /// Publishes the copy, and settles the original once it is confirmed (P1).
    async fn copy(&self, settle: &Settle, topic: &str) -> Result<(), SettleError> {
        let Some(copies) = &self.copies else { return Err(SettleError::Stale) };
        match copies.publish(settle, topic).await {
            Ok(()) => {}
            Err(PublishError::Refused(error)) => return Err(SettleError::Refused(error)),
            Err(PublishError::Unavailable(error)) => return Err(SettleError::Unavailable(error)),
            Err(error) => return Err(SettleError::Unavailable(error.into())),
        }
        self.shared.update(|state| {
            state.holder(settle.receipt)?.ack(settle.receipt.tag);
            Ok(())
        })
    }
}
