//! Middleware that injects faults around a handler, for `Builder::inner`.
//!
//! Each decides by its own seed or count, so that a test fails in the same way each time.

mod delay;
mod duplicate;
mod fail_randomly;

pub use self::{delay::Delay, duplicate::Duplicate, fail_randomly::FailRandomly};
