//! Middleware that fails at random.

use rand::RngExt;
use steadfast::{Delivery, Failure, FailureKind, Middleware, Outcome, Process};

use crate::seeded::Seeded;

/// Fails attempts at random, half of them before what is inside runs, and half of them after it,
/// when its effects are made.
#[derive(Debug)]
pub struct FailRandomly {
    probability: f64,
    rng: Seeded,
}

impl FailRandomly {
    /// Fails with this probability, decided by the seed.
    ///
    /// # Panics
    /// When the probability is not between 0 and 1.
    pub fn new(seed: u64, probability: f64) -> Self {
        assert!((0.0..=1.0).contains(&probability), "{probability} is not a probability");
        Self { probability, rng: Seeded::new(seed) }
    }
}

impl Middleware for FailRandomly {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let (fails, before) =
            self.rng.draw(|rng| (rng.random_bool(self.probability), rng.random_bool(0.5)));
        if fails && before {
            return failed("before");
        }
        let outcome = next.run(delivery).await;
        if fails { failed("after") } else { outcome }
    }
}

fn failed(when: &str) -> Outcome {
    let text = format!("FailRandomly struck {when} the handler");
    Outcome::failed(Failure::new(FailureKind::Transient, text))
}
