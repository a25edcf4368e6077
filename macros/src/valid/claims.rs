//! What is remembered, and for how long: all that goes with a dedup key.

use std::time::Duration;

use super::{
    Rule,
    defaults::{
        FIRST_WAIT, GRACE, LEASE, LEASE_CAP, LONGEST_WAIT, MAX_ATTEMPTS, RETENTION, TIMEOUT, or,
    },
};
use crate::attr::{Given, Options, Schedule, shown};

pub(super) const RULES: [Rule; 9] = [
    transactions_have_a_dedup_key,
    lease_has_a_dedup_key,
    lease_cap_has_a_dedup_key,
    retention_has_a_dedup_key,
    generation_has_a_dedup_key,
    lease_can_be_renewed,
    lease_cap_outlasts_the_timeout,
    lease_is_within_its_cap,
    retention_outlasts_the_retries,
];

fn transactions_have_a_dedup_key(options: &Options) -> Option<syn::Error> {
    needs_dedup_key(options, "transactional", options.transactional.as_ref()?)
}

fn lease_has_a_dedup_key(options: &Options) -> Option<syn::Error> {
    needs_dedup_key(options, "lease", options.lease.as_ref()?)
}

fn lease_cap_has_a_dedup_key(options: &Options) -> Option<syn::Error> {
    needs_dedup_key(options, "lease_cap", options.lease_cap.as_ref()?)
}

fn retention_has_a_dedup_key(options: &Options) -> Option<syn::Error> {
    needs_dedup_key(options, "retention", options.retention.as_ref()?)
}

fn generation_has_a_dedup_key(options: &Options) -> Option<syn::Error> {
    needs_dedup_key(options, "generation", options.generation.as_ref()?)
}

fn lease_can_be_renewed(options: &Options) -> Option<syn::Error> {
    let lease = options.lease.as_ref()?;
    let message = "a lease is renewed at a third of its length, over the network: `lease` needs at \
                   least \"100ms\"";
    (lease.value.as_millis() < 100).then(|| lease.error(message))
}

fn lease_cap_outlasts_the_timeout(options: &Options) -> Option<syn::Error> {
    let (timeout, cap) = (options.timeout.as_ref(), options.lease_cap.as_ref());
    let blamed = cap.or(timeout)?;
    let attempt = or(timeout, TIMEOUT).saturating_add(or(options.grace.as_ref(), GRACE));
    let longest = or(cap, LEASE_CAP);
    (remembers(options) && longest <= attempt).then(|| {
        blamed.error(format!(
            "a healthy attempt would lose its lease: `lease_cap` ({}) needs to be longer than \
             `timeout` and `grace` together ({})",
            shown(longest),
            shown(attempt)
        ))
    })
}

fn lease_is_within_its_cap(options: &Options) -> Option<syn::Error> {
    let (lease, cap) = (options.lease.as_ref()?, or(options.lease_cap.as_ref(), LEASE_CAP));
    (remembers(options) && lease.value > cap).then(|| {
        lease.error(format!(
            "`lease` is longer than `lease_cap` ({}), its longest time with all renewals",
            shown(cap)
        ))
    })
}

fn retention_outlasts_the_retries(options: &Options) -> Option<syn::Error> {
    let retention = options.retention.as_ref();
    let attempts = options.retry.as_ref().and_then(|retry| retry.max_attempts.as_ref());
    let place = retention.map(|given| &given.tokens).or(attempts.map(|given| &given.tokens))?;
    let window = window(options).saturating_add(or(options.lease.as_ref(), LEASE));
    let kept = or(retention, RETENTION);
    (remembers(options) && kept <= window).then(|| {
        let message = format!(
            "a duplicate that comes after its record is gone would run again: `retention` ({}) needs \
             to be longer than all retries and a `lease` take ({})",
            shown(kept),
            shown(window)
        );
        syn::Error::new_spanned(place, message)
    })
}

fn needs_dedup_key<T>(options: &Options, name: &str, given: &Given<T>) -> Option<syn::Error> {
    (!remembers(options)).then(|| {
        given.error(format!(
            "`{name}` does nothing without a `dedup_key`, by which messages are remembered: add for \
             example `dedup_key = message_id`"
        ))
    })
}

fn remembers(options: &Options) -> bool {
    options.said.contains(&"dedup_key")
}

/// The longest time that all waits of one message can take.
fn window(options: &Options) -> Duration {
    let retry = options.retry.as_ref();
    let attempts = or(retry.and_then(|retry| retry.max_attempts.as_ref()), MAX_ATTEMPTS);
    let schedule = retry.and_then(|retry| retry.backoff.schedule.as_ref());
    let (first, cap) = match schedule.map(|given| &given.value) {
        Some(Schedule::Exponential { first, cap }) => (first.value, cap.value),
        Some(Schedule::Fixed(wait)) => (wait.value, wait.value),
        None => (FIRST_WAIT, LONGEST_WAIT),
    };
    let floor = retry.and_then(|retry| retry.backoff.floor.as_ref());
    let floor = or(floor, Duration::ZERO).min(cap);
    let wait = |doublings: u32| first.saturating_mul(1 << doublings).min(cap).max(floor);
    let waits = attempts.saturating_sub(1);
    let doubling = waits.min(31);
    let doubled = (0..doubling).map(wait).fold(Duration::ZERO, Duration::saturating_add);
    doubled.saturating_add(wait(31).saturating_mul(waits - doubling))
}
