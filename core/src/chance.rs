//! Where jitter comes from.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::Backoff;

/// The random numbers of one consumer: its own, so that a seed repeats them.
#[derive(Clone)]
pub(crate) struct Chance(Arc<Mutex<StdRng>>);

impl Chance {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(rand::random);
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// A number in `0..1`.
    pub(crate) fn draw(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// The wait of a schedule after so many failures.
    pub(crate) fn wait(&self, backoff: &Backoff, failures: u32) -> Duration {
        backoff.wait(failures, self.draw()).unwrap_or_default()
    }

    /// The pause before something that is down is asked again.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        const FIRST: Duration = Duration::from_millis(200);
        const LONGEST: Duration = Duration::from_secs(10);
        const SHORTEST: Duration = Duration::from_millis(50);
        self.wait(&Backoff::exponential(FIRST, LONGEST).floor(SHORTEST), failures)
    }
}
