//! What is read, and what is said about what cannot be.

use super::*;

fn messages(content: &str) -> Vec<String> {
    options_of(content).1.messages()
}

#[track_caller]
fn says(content: &str, words: &str) {
    let messages = messages(content);
    assert!(
        messages.len() == 1 && messages[0].contains(words),
        "{content}: {words:?} is not the one message in {messages:?}"
    );
}

#[test]
fn values_are_kept_with_their_place() {
    let (options, errors) = options_of(r#"name = "a", timeout = "1m 30s", concurrency = 1_000"#);
    assert_eq!(errors.messages(), [""; 0]);
    let timeout = options.timeout.unwrap();
    assert_eq!(timeout.value.as_secs(), 90);
    assert_eq!(timeout.tokens.to_string(), r#""1m 30s""#);
    assert_eq!(options.concurrency.unwrap().value, 1000);
    assert_eq!(options.said, ["name", "timeout", "concurrency"]);
}

#[test]
fn a_group_is_read_into_its_model() {
    let (options, errors) = options_of(
        r#"retry(max_attempts = 3, backoff = exponential("1s", "1m",), floor = "1s", jitter = full,)"#,
    );
    assert_eq!(errors.messages(), [""; 0]);
    let retry = options.retry.unwrap();
    assert_eq!(retry.max_attempts.unwrap().value, 3);
    assert_eq!(retry.backoff.floor.unwrap().value.as_secs(), 1);
    let Schedule::Exponential { first, cap } = retry.backoff.schedule.unwrap().value else {
        panic!("not exponential");
    };
    assert_eq!((first.value.as_secs(), cap.value.as_secs()), (1, 60));
}

#[test]
fn every_form_of_a_dedup_key_is_told_apart() {
    let read = |content: &str| options_of(content).0.dedup_key.unwrap().value;
    assert!(matches!(read(r#"dedup_key = "a.0.b""#), DedupKey::Field(path) if path.len() == 3));
    assert!(matches!(read(r#"dedup_key = "a.type""#), DedupKey::Field(path) if path.len() == 2));
    assert!(matches!(read(r#"dedup_key = header("a")"#), DedupKey::Header(_)));
    assert!(matches!(read("dedup_key = message_id"), DedupKey::MessageId));
    assert!(matches!(read("dedup_key = key"), DedupKey::Key));
    for function in ["of", "self::key", "<Self as Keyed>::key", "keys::of::<A, B>"] {
        assert!(matches!(read(&format!("dedup_key = {function}")), DedupKey::Function(_)));
    }
}

#[test]
fn commas_of_generic_arguments_end_no_option() {
    let (options, errors) = options_of("codec = Checked<Vec<A>, fn() -> B, 3>, transactional");
    assert_eq!(errors.messages(), [""; 0]);
    assert!(options.codec.is_some() && options.transactional.is_some());
}

#[test]
fn a_shift_swallows_nothing() {
    let (options, errors) = options_of("concurrency = 1 << 4, transactional");
    assert_eq!(errors.messages(), ["`concurrency` takes a whole number, such as 5"]);
    assert!(options.transactional.is_some());
}

#[test]
fn one_mistake_hides_no_other() {
    let messages = messages(r#"timeout = "1", , 5, grace "1s", drain = , lease, nme = "a""#);
    assert_eq!(messages.len(), 7, "{messages:#?}");
}

#[test]
fn an_option_in_the_wrong_place_is_told_its_own() {
    says("max_attempts = 5", "`max_attempts` belongs in `retry(…)`");
    says("window = 5", "`window` belongs in `breaker(…)`");
    says("retry(timeout = 5)", "`timeout` does not belong in `retry(…)`");
    says("outer = Log", "call `.outer(…)`");
    says("layers = [Log]", "call `.outer(…)` or `.inner(…)`");
    says("max_inflight = 5", "did you mean `max_in_flight`?");
    says("retry(rounds = 5)", "in `retry(…)`: there are `max_attempts`");
}

#[test]
fn a_word_that_others_use_is_told_ours() {
    says(r#"topic = "a""#, "did you mean `source`?");
    says(r#"dlq = "a""#, "did you mean `dead_letter`?");
    says("max_retries = 5", "did you mean `retry`?");
    says("retry(max_retries = 5)", "did you mean `max_attempts`?");
}

#[test]
fn a_forgotten_comma_is_found_where_it_is_missing() {
    says(r#"name = "a" source = "b""#, "a `,` is missing before `source`");
    says("retry() transactional", "a `,` is missing before `transactional`");
    says("transactional\ndead_letter = \"d\"", "a `,` is missing before `dead_letter`");
    says("timeout = \"10s\" retry(max_attempts = 3)", "a `,` is missing before `retry`");
    says("ordered_by = key transactional", "a `,` is missing before `transactional`");
    says("codec = Checked<A> timeout = \"1s\"", "a `,` is missing before `timeout`");
    says("limits(payload = 1 key = 2)", "a `,` is missing before `key`");
    says("retry() 5", "a `,` is missing after `retry(…)`");
    let (options, errors) = options_of("transactional\n ded_letter = \"d\"");
    assert_eq!(errors.messages().len(), 2);
    assert_eq!(options.said, ["transactional", "dead_letter"]);
}

#[test]
fn a_wrong_form_is_told_the_right_one() {
    says("retry = 5", "write `retry(max_attempts = 5)`");
    says("retry", "write `retry(max_attempts = 5)`");
    says("timeout(5)", "write `timeout = \"10s\"`");
    says("transactional = false", "or leave it out");
    says("source = env!(\"SOURCE\")", "`.source(…)`");
    says("name = concat!(\"a\", \"b\")", "a string literal or the path of a constant");
    says("dedup_key = header", "`header(\"…\")`");
    for path in ["", "a.", "a..b", "a b", "a-b", "a[0]", "self", "é!"] {
        says(&format!("dedup_key = {path:?}"), "not a path of fields");
    }
    says("ordered_by = \"id\"", "before a message is decoded");
    says("codec = 5", "the path of a type");
    says("filter = |_| true", "a closure goes to the builder");
    says("dedup_key = |order| order.id", "`.dedup_key(DedupKey::of(…))`");
    says("acknowledge = [\"long-drain\"]", "write `acknowledge(\"long-drain\")`");
    says("generation = -1", "a whole number");
    says("generation = 1u64", "a whole number");
    says("generation = 4294967296", "4294967295 at most");
    says("waiting_share = \"half\"", "a number, such as 0.5");
}

#[test]
fn every_option_is_in_the_docs_and_in_a_case_that_compiles() {
    let docs = include_str!("../docs/derive.md");
    let cases = cases_that_compile();
    let options = [
        list::names::<Options>(),
        list::names::<Retry>(),
        list::names::<Breaker>(),
        list::names::<Limits>(),
    ];
    for option in options.concat() {
        let shown = |text: &str| {
            let forms = ["{} = ", "{}(", "`{}`", "    {},"];
            forms.iter().any(|form| text.contains(&form.replace("{}", option)))
        };
        assert!(shown(docs), "{option} is not in the docs");
        assert!(shown(&cases), "{option} is in no case");
    }
}

fn cases_that_compile() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ui/pass");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| std::fs::read_to_string(file).unwrap()).collect()
}
