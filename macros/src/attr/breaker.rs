//! `breaker(…)`: when to take failures for an outage.

use std::time::Duration;

use super::{
    backoff::{Backoff, Schedule},
    list::{Known, Listed},
    value::Given,
};

/// What `breaker(…)` says.
#[derive(Default)]
pub(crate) struct Breaker {
    pub(crate) failure_ratio: Option<Given<f64>>,
    pub(crate) window: Option<Given<usize>>,
    pub(crate) believed_for: Option<Given<Duration>>,
    pub(crate) probes: Backoff,
}

impl Listed for Breaker {
    const GROUP: &'static str = "breaker";
    const OPTIONS: &'static [Known<Self>] = &[
        ("failure_ratio", |breaker, e, errors| breaker.failure_ratio = errors.keep(e.ratio())),
        ("window", |breaker, e, errors| breaker.window = errors.keep(e.number())),
        ("believed_for", |breaker, e, errors| breaker.believed_for = errors.keep(e.duration())),
        ("probes", |breaker, e, errors| breaker.probes.schedule = errors.keep(Schedule::read(e))),
        ("floor", |breaker, e, errors| breaker.probes.floor = errors.keep(e.duration())),
    ];
}
