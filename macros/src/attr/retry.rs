//! `retry(…)`: when to try again, and when to give up.

use std::time::Duration;

use super::{
    backoff::{Backoff, Schedule},
    entry::Entry,
    list::{Known, Listed},
    value::Given,
};

/// What `retry(…)` says.
#[derive(Default)]
pub(crate) struct Retry {
    pub(crate) max_attempts: Option<Given<u32>>,
    pub(crate) backoff: Backoff,
    /// Full jitter, which is all there is.
    pub(crate) jitter: Option<Given<()>>,
    pub(crate) max_age: Option<Given<Duration>>,
    pub(crate) in_place_up_to: Option<Given<Duration>>,
}

impl Listed for Retry {
    const GROUP: &'static str = "retry";
    const OPTIONS: &'static [Known<Self>] = &[
        ("max_attempts", |retry, e, errors| retry.max_attempts = errors.keep(e.number())),
        ("backoff", |retry, e, errors| retry.backoff.schedule = errors.keep(Schedule::read(e))),
        ("floor", |retry, e, errors| retry.backoff.floor = errors.keep(e.duration())),
        ("jitter", |retry, e, errors| retry.jitter = errors.keep(jitter(e))),
        ("max_age", |retry, e, errors| retry.max_age = errors.keep(e.duration())),
        ("in_place_up_to", |retry, e, errors| retry.in_place_up_to = errors.keep(e.duration())),
    ];
}

fn jitter(entry: Entry) -> syn::Result<Given<()>> {
    entry.value("full", |tokens| match tokens.to_string().as_str() {
        "full" => Ok(()),
        _ => Err("`jitter` takes `full`: an exponential wait is drawn between `floor` and its \
                  doubled value, and a `fixed` one is not drawn at all"
            .into()),
    })
}
