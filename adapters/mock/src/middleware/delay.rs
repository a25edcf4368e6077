//! Middleware that takes its time.

use std::{ops::RangeInclusive, time::Duration};

use rand::RngExt;
use steadfast::{Delivery, Middleware, Outcome, Process};

use crate::seeded::Seeded;

/// Waits before each attempt, for a random length of virtual time: makes a slow handler of a fast
/// one, and lets attempts overtake one another.
#[derive(Debug)]
pub struct Delay {
    lengths: RangeInclusive<Duration>,
    rng: Seeded,
}

impl Delay {
    /// Waits for a length within these bounds, decided by the seed.
    ///
    /// # Panics
    /// When the bounds are in the wrong order.
    pub fn new(seed: u64, lengths: RangeInclusive<Duration>) -> Self {
        assert!(!lengths.is_empty(), "the shortest delay comes first");
        Self { lengths, rng: Seeded::new(seed) }
    }
}

impl Middleware for Delay {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let length = self.rng.draw(|rng| rng.random_range(self.lengths.clone()));
        tokio::time::sleep(length).await;
        next.run(delivery).await
    }
}
