//! Attempts, and the waits between them.

use std::time::Duration;

use super::{
    Rule,
    defaults::{MAX_ATTEMPTS, or},
};
use crate::attr::{Backoff, Given, Options, Schedule};

pub(super) const RULES: [Rule; 8] = [
    some_attempt_is_made,
    retry_cap_is_not_below_the_first_wait,
    retry_floor_has_a_place,
    probe_cap_is_not_below_the_first_wait,
    probe_floor_has_a_place,
    a_fixed_wait_has_no_jitter,
    ordered_messages_wait_in_place,
    some_retry_is_young_enough,
];

fn some_attempt_is_made(options: &Options) -> Option<syn::Error> {
    let attempts = options.retry.as_ref()?.max_attempts.as_ref()?;
    let message = "every message would be dead-lettered unseen: `max_attempts` counts the first \
                   attempt too, and needs at least 1";
    (attempts.value == 0).then(|| attempts.error(message))
}

fn retry_cap_is_not_below_the_first_wait(options: &Options) -> Option<syn::Error> {
    cap_is_not_below_the_first_wait(&options.retry.as_ref()?.backoff)
}

fn retry_floor_has_a_place(options: &Options) -> Option<syn::Error> {
    floor_has_a_place("backoff", &options.retry.as_ref()?.backoff)
}

fn probe_cap_is_not_below_the_first_wait(options: &Options) -> Option<syn::Error> {
    cap_is_not_below_the_first_wait(&options.breaker.as_ref()?.probes)
}

fn probe_floor_has_a_place(options: &Options) -> Option<syn::Error> {
    floor_has_a_place("probes", &options.breaker.as_ref()?.probes)
}

fn a_fixed_wait_has_no_jitter(options: &Options) -> Option<syn::Error> {
    let retry = options.retry.as_ref()?;
    let (jitter, schedule) = (retry.jitter.as_ref()?, retry.backoff.schedule.as_ref()?);
    let message = "a `fixed` wait has no jitter: leave `jitter` out, or use `exponential`";
    matches!(schedule.value, Schedule::Fixed(_)).then(|| jitter.error(message))
}

fn ordered_messages_wait_in_place(options: &Options) -> Option<syn::Error> {
    let in_place = options.retry.as_ref()?.in_place_up_to.as_ref()?;
    let message = "with `ordered_by` every wait is in place: leave `in_place_up_to` out";
    options.ordered_by.as_ref().map(|_| in_place.error(message))
}

fn some_retry_is_young_enough(options: &Options) -> Option<syn::Error> {
    let retry = options.retry.as_ref()?;
    let max_age = retry.max_age.as_ref()?;
    let shortest = match retry.backoff.schedule.as_ref().map(|given| &given.value) {
        Some(Schedule::Fixed(wait)) => wait.value,
        _ => or(retry.backoff.floor.as_ref(), Duration::ZERO),
    };
    let retries = or(retry.max_attempts.as_ref(), MAX_ATTEMPTS) > 1;
    let message = "no message would ever be retried: `max_age` needs to be longer than the shortest \
                   wait";
    (retries && max_age.value <= shortest).then(|| max_age.error(message))
}

fn cap_is_not_below_the_first_wait(backoff: &Backoff) -> Option<syn::Error> {
    match &backoff.schedule.as_ref()?.value {
        Schedule::Exponential { first, cap } if cap.value < first.value => Some(cap.error(
            "the longest wait is shorter than the first: write the first wait, then the longest, as \
             in `exponential(\"200ms\", \"30s\")`",
        )),
        _ => None,
    }
}

fn floor_has_a_place(option: &str, backoff: &Backoff) -> Option<syn::Error> {
    let floor = backoff.floor.as_ref()?;
    match backoff.schedule.as_ref().map(|given: &Given<Schedule>| &given.value) {
        Some(Schedule::Exponential { cap, .. }) if floor.value > cap.value => {
            Some(floor.error("`floor`, the shortest wait, is longer than the longest"))
        }
        Some(Schedule::Exponential { .. }) => None,
        Some(Schedule::Fixed(_)) => Some(
            floor.error("a `fixed` wait has no floor: leave `floor` out, or use `exponential`"),
        ),
        None => Some(floor.error(format!(
            "the floor of which waits? Add `{option} = exponential(\"200ms\", \"30s\")`"
        ))),
    }
}
