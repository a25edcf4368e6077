//! The built-in middleware, each in its fixed place.
//!
//! From outside in: trace, metrics, boundary, *yours by `outer`*, dead letter, retry, decode,
//! idempotency, decide, *yours by `inner`*, timeout, catch panic, and the handler.

mod boundary;
mod catch_panic;
mod dead_letter;
mod decide;
mod decode;
mod from_fn;
mod idempotency;
mod invoke;
mod metrics;
mod retry;
mod timeout;
mod trace;

pub use self::from_fn::{FromFn, LayerFn, Next, from_fn};
pub(crate) use self::{
    boundary::Boundary,
    catch_panic::CatchPanic,
    dead_letter::DeadLetters,
    decide::{Decide, Decider},
    decode::{Decode, Filter},
    idempotency::{Idempotency, Memory},
    invoke::Invoke,
    metrics::{Meters, Metrics},
    retry::Retrying,
    timeout::Timeout,
    trace::Trace,
};
