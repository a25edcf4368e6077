//! Layers that count: every delivery by its outcome, and every attempt beyond the first.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use steadfast::{Delivery, Ended, Middleware, Outcome, Process};

use crate::{
    manifest::Manifest,
    plan::{COPY, DELIVERY, Plan},
};

/// Counts that the progress line and the report show.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: Count,
    pub(crate) done: Count,
    pub(crate) duplicates_of_done: Count,
    pub(crate) duplicates_of_dead: Count,
    pub(crate) ignored: Count,
    pub(crate) dead: Count,
    pub(crate) given_back: Count,
    pub(crate) retried: Count,
}

/// A number that many threads raise.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tally {
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates_of_done.get() + self.duplicates_of_dead.get()
    }

    /// How many deliveries have come to an outcome.
    pub(crate) fn deliveries(&self) -> u64 {
        let others = [&self.done, &self.ignored, &self.dead, &self.given_back];
        self.duplicates() + others.iter().map(|count| count.get()).sum::<u64>()
    }
}

/// The outer layer: sees each delivery once.
pub(crate) struct CountDeliveries {
    pub(crate) tally: Arc<Tally>,
    pub(crate) manifest: Arc<Manifest>,
}

impl Middleware for CountDeliveries {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let outcome = next.run(delivery).await;
        let headers = &delivery.message.headers;
        let number = headers.text(DELIVERY).and_then(Plan::number);
        let tally = &*self.tally;
        let count = match &outcome {
            Outcome::Done => &tally.done,
            Outcome::Duplicate(Ended::Dead) => &tally.duplicates_of_dead,
            Outcome::Duplicate(_) => &tally.duplicates_of_done,
            Outcome::Ignored => {
                if let Some(number) = number {
                    self.manifest.ignored(number);
                }
                &tally.ignored
            }
            Outcome::DeadLettered(_) => &tally.dead,
            _ => {
                tally.given_back.up();
                return outcome;
            }
        };
        count.up();
        let copy = headers.text(COPY).and_then(|copy| copy.parse().ok());
        if let (Some(number), Some(copy)) = (number, copy) {
            self.manifest.ended(number, copy);
        }
        outcome
    }
}

/// The inner layer: sees each attempt.
pub(crate) struct CountAttempts(pub(crate) Arc<Tally>);

impl Middleware for CountAttempts {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        if delivery.attempt() > 1 {
            self.0.retried.up();
        }
        next.run(delivery).await
    }
}
