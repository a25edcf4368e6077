//! Middleware that runs a handler twice.

use std::sync::atomic::{AtomicU64, Ordering};

use steadfast::{Delivery, Middleware, Outcome, Process};

/// Runs what is inside twice on every nth attempt, one after the other, and answers with the second
/// outcome: shows whether the handler's effects bear repetition.
#[derive(Debug)]
pub struct Duplicate {
    every: u64,
    attempts: AtomicU64,
}

impl Duplicate {
    /// Doubles every nth attempt; 1 doubles all of them.
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn every(n: u64) -> Self {
        assert!(n > 0, "every 0th attempt cannot be doubled");
        Self { every: n, attempts: AtomicU64::new(0) }
    }
}

impl Middleware for Duplicate {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        let outcome = next.run(delivery).await;
        if attempt.is_multiple_of(self.every) { next.run(delivery).await } else { outcome }
    }
}
