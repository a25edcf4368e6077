//! How much runs, for how long, and when it is too much.

use super::{
    Rule,
    defaults::{CONCURRENCY, or},
};
use crate::attr::{DedupKey, Options, OrderedBy};

pub(super) const RULES: [Rule; 11] = [
    concurrency_runs_something,
    in_flight_holds_what_runs,
    some_bytes_fit,
    some_payload_fits,
    timeout_lets_something_run,
    stalls_are_told_from_pauses,
    waiting_share_is_a_share,
    breaker_ratio_is_a_ratio,
    breaker_has_a_window,
    breaker_ratio_and_window_go_together,
    order_is_of_more_than_one_message,
];

fn concurrency_runs_something(options: &Options) -> Option<syn::Error> {
    let concurrency = options.concurrency.as_ref()?;
    let message = "no handler would ever run: `concurrency` needs at least 1";
    (concurrency.value == 0).then(|| concurrency.error(message))
}

fn in_flight_holds_what_runs(options: &Options) -> Option<syn::Error> {
    let most = options.max_in_flight.as_ref()?;
    let concurrency = or(options.concurrency.as_ref(), CONCURRENCY);
    (most.value < concurrency).then(|| {
        let default = if options.concurrency.is_none() { ", the default" } else { "" };
        most.error(format!(
            "fewer messages than handlers would leave handlers idle: `max_in_flight` needs at least \
             the `concurrency` ({concurrency}{default})"
        ))
    })
}

fn some_bytes_fit(options: &Options) -> Option<syn::Error> {
    let bytes = options.max_in_flight_bytes.as_ref()?;
    let message = "no message would fit: `max_in_flight_bytes` needs at least 1";
    (bytes.value == 0).then(|| bytes.error(message))
}

fn some_payload_fits(options: &Options) -> Option<syn::Error> {
    let payload = options.limits.as_ref()?.payload.as_ref()?;
    let message = "every message with a payload would be dead-lettered: `payload` needs the size of \
                   the largest, such as \"1MiB\"";
    (payload.value == 0).then(|| payload.error(message))
}

fn timeout_lets_something_run(options: &Options) -> Option<syn::Error> {
    let timeout = options.timeout.as_ref()?;
    let message =
        "every attempt would time out: `timeout` needs the longest time that one may take";
    timeout.value.is_zero().then(|| timeout.error(message))
}

fn stalls_are_told_from_pauses(options: &Options) -> Option<syn::Error> {
    let quiet = options.stalled_after.as_ref()?;
    let message = "a session that is quiet for a moment would be renewed: `stalled_after` needs at \
                   least \"1s\"";
    (quiet.value.as_secs() == 0).then(|| quiet.error(message))
}

fn waiting_share_is_a_share(options: &Options) -> Option<syn::Error> {
    let share = options.waiting_share.as_ref()?;
    let is_share = share.value > 0.0 && share.value <= 1.0;
    let message = "`waiting_share` is a part of `max_in_flight`: more than 0, and at most 1";
    (!is_share).then(|| share.error(message))
}

fn breaker_ratio_is_a_ratio(options: &Options) -> Option<syn::Error> {
    let ratio = options.breaker.as_ref()?.failure_ratio.as_ref()?;
    let is_ratio = ratio.value > 0.0 && ratio.value <= 1.0;
    let message = "`failure_ratio` is a part of the `window`: more than 0, and at most 1";
    (!is_ratio).then(|| ratio.error(message))
}

fn breaker_has_a_window(options: &Options) -> Option<syn::Error> {
    let window = options.breaker.as_ref()?.window.as_ref()?;
    let message = "the breaker would see nothing: `window` needs at least 1 message";
    (window.value == 0).then(|| window.error(message))
}

fn breaker_ratio_and_window_go_together(options: &Options) -> Option<syn::Error> {
    let breaker = options.breaker.as_ref()?;
    let error = match (&breaker.failure_ratio, &breaker.window) {
        (Some(ratio), None) => ratio.error(
            "a ratio of how many messages? Add `window`, as in \
             `breaker(failure_ratio = 0.9, window = 20)`",
        ),
        (None, Some(window)) => window.error(
            "a window for which ratio? Add `failure_ratio`, as in \
             `breaker(failure_ratio = 0.9, window = 20)`",
        ),
        _ => return None,
    };
    Some(error)
}

/// Where every message has a key of its own, as a dedup key must be, no two are ever in order.
fn order_is_of_more_than_one_message(options: &Options) -> Option<syn::Error> {
    let (dedup_key, ordered_by) = (options.dedup_key.as_ref()?, options.ordered_by.as_ref()?);
    let same = match (&dedup_key.value, &ordered_by.value) {
        (DedupKey::Key, OrderedBy::Key) => true,
        (DedupKey::Header(dedup), OrderedBy::Header(order)) => {
            dedup.value() == order.value() && !order.value().is_empty()
        }
        _ => false,
    };
    let message = "`ordered_by` is the same as `dedup_key`: the second message of a key would be \
                   taken for a duplicate of the first, so there is nothing to order; choose another \
                   `dedup_key`, or leave `ordered_by` out";
    same.then(|| ordered_by.error(message))
}
