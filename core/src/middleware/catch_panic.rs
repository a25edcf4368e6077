//! Turns a panic inside into a failure like any other (P11).

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use crate::{Delivery, Failure, Middleware, Outcome, Process};

/// Catches panics of what is inside. What a panicking handler has left half done in its own shared
/// state is the handler's to mend, as everywhere with `catch_unwind`.
pub(crate) struct CatchPanic {
    /// Names what is inside, for the failure's text.
    pub(crate) place: &'static str,
}

impl Middleware for CatchPanic {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        match AssertUnwindSafe(next.run(delivery)).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(payload) => Outcome::failed(Failure::panicked(self.place, payload)),
        }
    }
}
