//! Random numbers that follow from a seed, behind a shared reference.

use std::sync::{Mutex, PoisonError};

use rand::{SeedableRng, rngs::StdRng};

#[derive(Debug)]
pub(crate) struct Seeded(Mutex<StdRng>);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    pub(crate) fn draw<R>(&self, draw: impl FnOnce(&mut StdRng) -> R) -> R {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
