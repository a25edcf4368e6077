//! What becomes of a delivery that is settled.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::{join, join_all};
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions, ChannelFlowOptions},
};
use steadfast::broker::{PublishError, Settle, SettleError, Settlement};
use tokio::time::{Instant, timeout_at};

use crate::{
    config::Config,
    connect::{late, within},
    held::{Held, Out},
    publish::Publishing,
    unreadable::Streak,
};

pub(crate) struct Settler {
    pub(crate) channel: Channel,
    pub(crate) queue: Arc<str>,
    pub(crate) config: Arc<Config>,
    pub(crate) held: Arc<Held>,
    pub(crate) publishing: Arc<Publishing>,
    pub(crate) streak: Arc<Streak>,
    pub(crate) ordered: bool,
    /// When the server was last told anything.
    pub(crate) said: Mutex<Option<Instant>>,
}

/// What the server is told of one delivery.
#[derive(Clone, Copy)]
enum Word {
    Ack,
    /// Counted by a quorum queue in every version.
    Reject,
    /// Not counted from 4.3 on.
    Nack,
}

/// What becomes of one settlement.
enum Prepared {
    Say(u64, Word),
    /// Its copy must be confirmed first.
    Copy(Out),
    Stale,
    /// There is nothing to say.
    Done,
}

/// For all copies of one call together: well below the time that the consumer gives the call, since a
/// destination that is slow must not end the session.
const COPIES: Duration = Duration::from_secs(8);

impl Settler {
    /// What needs no copy does not wait for the copies.
    pub(crate) async fn settle(
        &self,
        batch: &[Settle],
        epoch: u64,
    ) -> Vec<Result<(), SettleError>> {
        let copies_end = Instant::now() + COPIES;
        let mut words = Vec::with_capacity(batch.len());
        let mut copies = Vec::new();
        let mut answers: Vec<_> = batch.iter().map(|_| Ok(())).collect();
        let mut said = Vec::with_capacity(batch.len());
        for (index, settle) in batch.iter().enumerate() {
            match self.prepare(settle, epoch) {
                Prepared::Say(tag, word) => {
                    words.push((tag, word));
                    said.push(index);
                }
                Prepared::Copy(out) => copies.push((index, out)),
                Prepared::Stale => answers[index] = Err(SettleError::Stale),
                Prepared::Done => {}
            }
        }
        let copying = copies.into_iter().map(|(index, out)| async move {
            (index, self.copy(&batch[index], out, copies_end).await)
        });
        let (arrived, copied) = join(self.say(&words), join_all(copying)).await;
        if !arrived {
            said.into_iter().for_each(|index| answers[index] = Err(SettleError::Stale));
        }
        let (mut words, mut said) = (Vec::new(), Vec::new());
        for (index, copied) in copied {
            match copied {
                Ok(tag) => {
                    words.push((tag, Word::Ack));
                    said.push(index);
                }
                Err(error) => answers[index] = Err(error),
            }
        }
        if !self.say(&words).await {
            said.into_iter().for_each(|index| answers[index] = Err(SettleError::Stale));
        }
        answers
    }

    fn prepare(&self, settle: &Settle, epoch: u64) -> Prepared {
        let receipt = settle.receipt;
        let held = (receipt.epoch == epoch).then(|| self.held.take(receipt.tag)).flatten();
        let Some(out) = held else { return Prepared::Stale };
        match settle.settlement {
            Settlement::Ack => Prepared::Say(out.tag, Word::Ack),
            Settlement::Release | Settlement::Requeue { .. } if self.ordered => {
                self.held.line_up(out);
                Prepared::Done
            }
            Settlement::Requeue { delay, .. } if self.tier(delay).is_some() => {
                self.held.is_being_copied(receipt.tag, &out);
                Prepared::Copy(out)
            }
            Settlement::Requeue { counted: true, .. } => Prepared::Say(out.tag, Word::Reject),
            _ => Prepared::Say(out.tag, Word::Nack),
        }
    }

    fn tier(&self, delay: Duration) -> Option<Duration> {
        (!delay.is_zero()).then(|| self.config.waits.for_delay(delay)).flatten()
    }

    /// Publishes the copy that waits; the tag of its original, which is to be acked now.
    async fn copy(&self, settle: &Settle, out: Out, end: Instant) -> Result<u64, SettleError> {
        let tag = out.tag;
        let tier = match settle.settlement {
            Settlement::Requeue { delay, .. } => self.tier(delay),
            _ => None,
        };
        let Some(tier) = tier else { return Ok(tag) };
        let copy = settle.retry_copy();
        // Not the origin's source, which may have been another queue.
        let publishing = self.publishing.publish_waiting(&self.queue, tier, &copy);
        let error = match timeout_at(end, publishing).await {
            Ok(Ok(())) => {
                self.held.is_copied(settle.receipt.tag);
                return Ok(tag);
            }
            Ok(Err(PublishError::Refused(error))) => SettleError::Refused(error),
            Ok(Err(PublishError::Unavailable(error))) => SettleError::Unavailable(error),
            Ok(Err(other)) => SettleError::Unavailable(other.into()),
            Err(_) => SettleError::Unavailable(late(COPIES, "copies that are to wait")),
        };
        self.held.put_back(settle.receipt.tag, out);
        Err(error)
    }

    /// Whether all of it has arrived. After the words a question follows on the same channel, and a
    /// channel is read in order: what was said before an answer has arrived at the server.
    ///
    /// Without an answer nobody knows: the deliveries are the server's again, and what has arrived will
    /// not come.
    async fn say(&self, words: &[(u64, Word)]) -> bool {
        if words.is_empty() {
            return true;
        }
        let saying = async {
            join_all(words.iter().map(|(tag, word)| self.word(*tag, *word)))
                .await
                .into_iter()
                .collect::<lapin::Result<Vec<()>>>()?;
            self.channel.channel_flow(ChannelFlowOptions { active: true }).await
        };
        let problem = match within(self.config.deadline, "settlements", saying).await {
            Ok(Ok(_)) => {
                let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                *said = Some(Instant::now());
                if words.iter().any(|(_, word)| matches!(word, Word::Ack)) {
                    self.streak.breaks();
                }
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.held.end(problem);
        false
    }

    /// Waits until a quorum queue has taken in what was said last. The server's channel keeps back what
    /// such a queue has no room for in its log, forgets it when it closes, and tells nobody: this
    /// makes that rare, and a duplicate of what was acked last remains possible.
    pub(crate) async fn linger(&self) {
        const LOG_LAGS: Duration = Duration::from_millis(250);
        let said = *self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(said) = said {
            tokio::time::sleep_until(said + LOG_LAGS).await;
        }
    }

    async fn word(&self, tag: u64, word: Word) -> lapin::Result<()> {
        match word {
            Word::Ack => self.channel.basic_ack(tag, BasicAckOptions { multiple: false }).await,
            Word::Reject => {
                self.channel.basic_reject(tag, BasicRejectOptions { requeue: true }).await
            }
            Word::Nack => {
                let options = BasicNackOptions { multiple: false, requeue: true };
                self.channel.basic_nack(tag, options).await
            }
        }
    }
}
