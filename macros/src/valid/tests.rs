//! Each rule, broken by the least that breaks it, and kept by the least that keeps it.

use syn::{DeriveInput, parse_quote};

use super::*;
use crate::attr::options_of;

/// What the rules say about these options beside the required ones.
fn findings(content: &str) -> Vec<String> {
    let required = r#"name = "a", source = "s", group = "g", dead_letter = "d""#;
    findings_of(&format!("{required}, {content}"))
}

fn findings_of(content: &str) -> Vec<String> {
    let input: DeriveInput = parse_quote!(
        struct A;
    );
    let (options, mut errors) = options_of(content);
    assert_eq!(errors.messages(), [""; 0], "{content}");
    let item = Item::of(&input, &mut errors);
    Declaration::of(&item, options, &mut errors);
    errors.messages()
}

#[track_caller]
fn refused(content: &str, words: &str) {
    let findings = findings(content);
    assert!(
        findings.len() == 1 && findings[0].contains(words),
        "{content}: {words:?} is not the one finding in {findings:?}"
    );
}

#[track_caller]
fn accepted(content: &str) {
    assert_eq!(findings(content), [""; 0], "{content}");
}

#[test]
fn all_that_is_missing_is_said_at_once() {
    let findings = findings_of("concurrency = 5");
    assert_eq!(findings.len(), 1);
    assert!(findings[0].starts_with("`name`, `source`, `group`, `dead_letter` are missing"));
}

#[test]
fn names_are_names() {
    for name in ["", "a b", "ä", "a/b", &"a".repeat(91)] {
        let content =
            format!("name = {name:?}, source = \"s\", group = {name:?}, dead_letter = \"d\"");
        assert_eq!(findings_of(&content).len(), 2, "{name}");
    }
    let content = format!(
        "name = {:?}, source = \"s\", group = \"A-z_0.9\", dead_letter = \"d\"",
        "a".repeat(90)
    );
    assert_eq!(findings_of(&content), [""; 0]);
}

#[test]
fn destinations_are_named_and_differ() {
    let content = |source, dead| {
        format!("name = \"a\", group = \"g\", source = {source:?}, dead_letter = {dead:?}")
    };
    assert_eq!(findings_of(&content("", "")).len(), 2);
    assert!(findings_of(&content("s", "s"))[0].contains("round in circles"));
    refused("dedup_key = header(\"\")", "the header needs a name");
    refused("ordered_by = header(\"\")", "the header needs a name");
}

#[test]
fn bounds_let_something_through() {
    refused("concurrency = 0", "at least 1");
    refused("concurrency = 8, max_in_flight = 7", "at least the `concurrency` (8)");
    accepted("concurrency = 8, max_in_flight = 8");
    refused("max_in_flight = 15", "(16, the default)");
    accepted("max_in_flight = 16");
    refused("max_in_flight_bytes = 0", "at least 1");
    refused("limits(payload = 0)", "dead-lettered");
    accepted("limits(payload = 1, key = 0)");
    refused("timeout = \"0s\"", "every attempt would time out");
    refused("stalled_after = \"999ms\"", "at least \"1s\"");
    accepted("stalled_after = \"1s\"");
    refused("waiting_share = 0", "more than 0");
    refused("waiting_share = 1.01", "at most 1");
    accepted("waiting_share = 1");
}

#[test]
fn a_breaker_can_open() {
    refused("breaker(failure_ratio = 0.0, window = 1)", "more than 0");
    refused("breaker(failure_ratio = 1, window = 0)", "at least 1");
    refused("breaker(failure_ratio = 1)", "Add `window`");
    refused("breaker(window = 1)", "Add `failure_ratio`");
    accepted("breaker(failure_ratio = 1, window = 1)");
    accepted("breaker(probes = fixed(\"1s\"))");
}

#[test]
fn retries_make_sense() {
    refused("retry(max_attempts = 0)", "at least 1");
    refused("retry(backoff = exponential(\"2s\", \"1s\"))", "shorter than the first");
    accepted("retry(backoff = exponential(\"1s\", \"1s\"))");
    refused(
        "retry(backoff = exponential(\"1s\", \"2s\"), floor = \"3s\")",
        "longer than the longest",
    );
    accepted("retry(backoff = exponential(\"1s\", \"2s\"), floor = \"2s\")");
    refused("retry(backoff = fixed(\"1s\"), floor = \"1s\")", "has no floor");
    refused("retry(floor = \"1s\")", "Add `backoff = exponential");
    refused("breaker(floor = \"1s\")", "Add `probes = exponential");
    refused("breaker(probes = exponential(\"2s\", \"1s\"))", "shorter than the first");
    refused("retry(backoff = fixed(\"1s\"), jitter = full)", "has no jitter");
    refused("ordered_by = key, retry(in_place_up_to = \"1s\")", "every wait is in place");
    refused("retry(backoff = fixed(\"1s\"), max_age = \"1s\")", "ever be retried");
    accepted("retry(backoff = fixed(\"1s\"), max_age = \"2s\")");
    accepted("retry(backoff = fixed(\"1s\"), max_age = \"1s\", max_attempts = 1)");
    refused("retry(max_age = \"0s\")", "ever be retried");
    accepted("retry(max_age = \"1ms\")");
    accepted("retry()");
}

#[test]
fn what_is_remembered_has_a_dedup_key() {
    for option in [
        "transactional",
        "lease = \"1s\"",
        "lease_cap = \"1h\"",
        "retention = \"1d\"",
        "generation = 1",
    ] {
        refused(option, "does nothing without a `dedup_key`");
        accepted(&format!("dedup_key = message_id, {option}"));
    }
}

#[test]
fn a_lease_outlasts_an_attempt() {
    let findings = |content: &str| findings(&format!("dedup_key = message_id, {content}"));
    assert_eq!(findings("lease = \"100ms\""), [""; 0]);
    assert!(findings("lease = \"99ms\"")[0].contains("at least \"100ms\""));
    assert!(findings("lease_cap = \"32s\", lease = \"1s\"")[0].contains("`timeout` and `grace`"));
    assert_eq!(findings("lease_cap = \"33s\", lease = \"1s\""), [""; 0]);
    assert!(findings("timeout = \"1h\"")[0].contains("`lease_cap` (1h)"));
    assert!(
        findings("lease = \"2h\", lease_cap = \"1h\"")[0].contains("longer than `lease_cap` (1h)")
    );
    assert!(findings("lease = \"1h 1s\"")[0].contains("longer than `lease_cap` (1h)"));
    assert_eq!(findings("lease = \"1h\""), [""; 0]);
}

#[test]
fn retention_outlasts_the_retries() {
    let ten = "retry(max_attempts = 10, backoff = fixed(\"1m\")), dedup_key = message_id";
    refused(&format!("{ten}, retention = \"9m 30s\""), "all retries and a `lease` take (9m 30s)");
    accepted(&format!("{ten}, retention = \"10m\""));
    let doubling = "retry(backoff = exponential(\"1s\", \"4s\")), dedup_key = message_id";
    refused(&format!("{doubling}, retention = \"41s\""), "take (41s)");
    accepted(&format!("{doubling}, retention = \"42s\""));
    refused("retry(max_attempts = 4000000000), dedup_key = message_id", "`retention` (15d)");
}

#[test]
fn order_is_of_more_than_one_message() {
    refused("dedup_key = key, ordered_by = key", "nothing to order");
    refused("dedup_key = header(\"a\"), ordered_by = header(\"a\")", "nothing to order");
    accepted("dedup_key = header(\"a\"), ordered_by = header(\"b\")");
    accepted("dedup_key = message_id, ordered_by = key");
}

#[test]
fn the_defaults_are_those_of_the_core() {
    let handler = steadfast::handler_fn(|_: String| async { Ok(()) });
    let policy = format!("{:?}", steadfast::Consumer::builder("a", handler));
    for (setting, default) in [
        ("concurrency", defaults::CONCURRENCY.to_string()),
        ("timeout", format!("{:?}", defaults::TIMEOUT)),
        ("grace", format!("{:?}", defaults::GRACE)),
        ("lease", format!("{:?}", defaults::LEASE)),
        ("lease_cap", format!("{:?}", defaults::LEASE_CAP)),
        ("retention", format!("{:?}", defaults::RETENTION)),
        ("max_attempts", defaults::MAX_ATTEMPTS.to_string()),
        (
            "backoff",
            format!("exponential({:?}, {:?}", defaults::FIRST_WAIT, defaults::LONGEST_WAIT),
        ),
    ] {
        let line = format!("{setting}: {default}");
        assert!(policy.contains(&line), "{line} is not in {policy}");
    }
}
