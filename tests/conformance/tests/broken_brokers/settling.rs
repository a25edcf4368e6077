//! Breaches in what settlements and extensions do.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use steadfast::{
    Delivery, Receipt,
    broker::{BrokerError, Capabilities, Demand, Hold, Settle, SettleError, Settlement, Source},
};

use crate::bent::{Breach, Memory};

type Answers = Vec<Result<(), SettleError>>;

/// The batch with other settlements.
fn change(batch: &[Settle], change: impl Fn(Settlement) -> Settlement) -> Vec<Settle> {
    let mut changed = batch.to_vec();
    for settle in &mut changed {
        settle.settlement = change(settle.settlement);
    }
    changed
}

/// Takes a requeue for an ack.
pub(crate) struct AcksOnRequeue;

#[async_trait]
impl Breach for AcksOnRequeue {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        let acks = change(batch, |settlement| match settlement {
            Settlement::Requeue { .. } => Settlement::Ack,
            settlement => settlement,
        });
        source.settle(&acks).await
    }
}

/// Tells the broker nothing of a release.
pub(crate) struct KeepsReleases;

#[async_trait]
impl Breach for KeepsReleases {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        let mut answers = Vec::new();
        for settle in batch {
            answers.push(match settle.settlement {
                Settlement::Release => Ok(()),
                _ => source.settle(std::slice::from_ref(settle)).await.remove(0),
            });
        }
        answers
    }
}

/// Requeues at once, whatever the delay.
pub(crate) struct IgnoresDelay;

#[async_trait]
impl Breach for IgnoresDelay {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        let at_once = change(batch, |settlement| match settlement {
            Settlement::Requeue { counted, .. } => {
                Settlement::Requeue { delay: Duration::ZERO, counted }
            }
            settlement => settlement,
        });
        source.settle(&at_once).await
    }
}

/// Waits for one delay after the other.
pub(crate) struct DelaysInLine;

#[async_trait]
impl Breach for DelaysInLine {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        for settle in batch {
            if let Settlement::Requeue { delay, .. } = settle.settlement {
                tokio::time::sleep(delay).await;
            }
        }
        IgnoresDelay.settle(source, batch).await
    }
}

/// Claims to delay by a copy, which would carry the attempts.
pub(crate) struct ClaimsCopies;

impl Breach for ClaimsCopies {
    fn claim(&self, capabilities: &mut Capabilities) {
        capabilities.delays_by_copy = true;
    }
}

/// Copies the message as it is, without the attempts so far.
pub(crate) struct CopiesNoAttempts;

#[async_trait]
impl Breach for CopiesNoAttempts {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        let mut forgetful = batch.to_vec();
        forgetful.iter_mut().for_each(|settle| settle.attempts = 0);
        source.settle(&forgetful).await
    }
}

/// Takes a delay that is too long for lost.
pub(crate) struct DropsLongDelays;

#[async_trait]
impl Breach for DropsLongDelays {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        let longest = source.capabilities().max_delay.unwrap_or_default();
        let dropped = change(batch, |settlement| match settlement {
            Settlement::Requeue { delay, .. } if delay > longest => Settlement::Ack,
            settlement => settlement,
        });
        source.settle(&dropped).await
    }
}

/// Answers for the first of a batch only.
pub(crate) struct AnswersOnce;

#[async_trait]
impl Breach for AnswersOnce {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        let mut answers = source.settle(batch).await;
        answers.truncate(1);
        answers
    }
}

/// Answers even when nothing was asked.
pub(crate) struct AnswersAnyway;

#[async_trait]
impl Breach for AnswersAnyway {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        match batch {
            [] => vec![Ok(())],
            batch => source.settle(batch).await,
        }
    }
}

/// Answers in another order.
pub(crate) struct AnswersBackwards;

#[async_trait]
impl Breach for AnswersBackwards {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        let mut answers = source.settle(batch).await;
        answers.reverse();
        answers
    }
}

/// Settles with an ack everything that was received before it.
#[derive(Default)]
pub(crate) struct AcksMultiple(Memory<Vec<Settle>>);

#[async_trait]
impl Breach for AcksMultiple {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        let answers = source.settle(batch).await;
        for settle in batch.iter().filter(|settle| settle.settlement == Settlement::Ack) {
            let lower = |other: &&Settle| {
                other.receipt.epoch == settle.receipt.epoch
                    && other.receipt.tag < settle.receipt.tag
            };
            let before: Vec<Settle> = self.0.lock().iter().filter(lower).cloned().collect();
            let _ = source.settle(&before).await;
        }
        answers
    }

    fn deliver(&self, delivery: &mut Delivery) {
        self.0.lock().push(ack(delivery));
    }
}

/// Settles by the message, whichever delivery of it the receipt is of.
#[derive(Default)]
pub(crate) struct RevivesReceipts(Memory<BTreeMap<Option<String>, Receipt>>);

#[async_trait]
impl Breach for RevivesReceipts {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        let mut revived = batch.to_vec();
        for settle in &mut revived {
            if let Some(last) = self.0.lock().get(&settle.origin.message_id) {
                settle.receipt = *last;
            }
        }
        source.settle(&revived).await
    }

    fn deliver(&self, delivery: &mut Delivery) {
        let id = delivery.origin.message_id.clone();
        self.0.lock().insert(id, delivery.receipt);
    }
}

/// Does not look at the epoch.
pub(crate) struct IgnoresEpochs;

#[async_trait]
impl Breach for IgnoresEpochs {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        let mut answers = source.settle(batch).await;
        for (settle, answer) in batch.iter().zip(&mut answers) {
            if answer.is_err() && settle.receipt.epoch > 0 {
                let mut other = settle.clone();
                other.receipt = Receipt::new(settle.receipt.epoch - 1, settle.receipt.tag);
                *answer = source.settle(&[other]).await.remove(0);
            }
        }
        answers
    }
}

/// Takes it for settled, whatever the broker says.
pub(crate) struct BelievesInSuccess;

#[async_trait]
impl Breach for BelievesInSuccess {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        source.settle(batch).await.into_iter().map(|_| Ok(())).collect()
    }
}

/// Acks what is still held when it closes.
#[derive(Default)]
pub(crate) struct AcksOnClose(Memory<Vec<Settle>>);

#[async_trait]
impl Breach for AcksOnClose {
    fn deliver(&self, delivery: &mut Delivery) {
        self.0.lock().push(ack(delivery));
    }

    async fn close(&self, source: &dyn Source) {
        let held: Vec<Settle> = self.0.lock().drain(..).collect();
        let _ = source.settle(&held).await;
        source.close().await;
    }
}

/// Remembers how far it was acked, and nothing of what is open before that, when it closes.
#[derive(Default)]
pub(crate) struct CommitsTheNewest {
    delivered: Memory<Vec<Settle>>,
    newest: Memory<u64>,
}

#[async_trait]
impl Breach for CommitsTheNewest {
    async fn settle(&self, source: &dyn Source, batch: &[Settle]) -> Answers {
        let acks = batch.iter().filter(|settle| settle.settlement == Settlement::Ack);
        let newest = acks.map(|settle| settle.receipt.tag).max().unwrap_or_default();
        let before = *self.newest.lock();
        *self.newest.lock() = before.max(newest);
        source.settle(batch).await
    }

    fn deliver(&self, delivery: &mut Delivery) {
        self.delivered.lock().push(ack(delivery));
    }

    async fn close(&self, source: &dyn Source) {
        let newest = *self.newest.lock();
        let mut passed: Vec<Settle> = self.delivered.lock().drain(..).collect();
        passed.retain(|settle| settle.receipt.tag < newest);
        let _ = source.settle(&passed).await;
        source.close().await;
    }
}

/// Says that holds are extended, and extends none.
pub(crate) struct ExtendsNothing;

#[async_trait]
impl Breach for ExtendsNothing {
    async fn extend(&self, _source: &dyn Source, receipts: &[Receipt]) -> Answers {
        receipts.iter().map(|_| Ok(())).collect()
    }
}

/// Holds for ever what it has extended once.
#[derive(Default)]
pub(crate) struct ExtendsForEver(Memory<Vec<Receipt>>);

#[async_trait]
impl Breach for ExtendsForEver {
    async fn receive(
        &self,
        source: &dyn Source,
        demand: Demand,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let mut receiving = source.receive(demand);
        let Hold::Extendable { each, .. } = source.capabilities().hold else {
            return receiving.await;
        };
        loop {
            tokio::select! {
                received = &mut receiving => return received,
                () = tokio::time::sleep(each / 3) => {
                    let receipts = self.0.lock().clone();
                    let _ = source.extend(&receipts).await;
                }
            }
        }
    }

    async fn extend(&self, source: &dyn Source, receipts: &[Receipt]) -> Answers {
        self.0.lock().extend(receipts);
        source.extend(receipts).await
    }
}

/// Claims that a hold can be extended for twice as long as it can.
pub(crate) struct OverstatesItsLongestHold;

impl Breach for OverstatesItsLongestHold {
    fn claim(&self, capabilities: &mut Capabilities) {
        if let Hold::Extendable { total: Some(total), .. } = &mut capabilities.hold {
            *total *= 2;
        }
    }
}

/// Claims a hold twice as long as the broker's.
pub(crate) struct OverstatesItsHold;

impl Breach for OverstatesItsHold {
    fn claim(&self, capabilities: &mut Capabilities) {
        if let Hold::Extendable { each, .. } = &mut capabilities.hold {
            *each *= 2;
        }
    }
}

fn ack(delivery: &Delivery) -> Settle {
    let (message, origin) = (delivery.message.clone(), delivery.origin.clone());
    Settle::new(Delivery::new(message, origin, delivery.receipt), Settlement::Ack)
}
