//! A wrong configuration is refused at start, in words that name the fix (P16).

use std::time::Duration;

use steadfast::{
    Backoff, BreakerPolicy, Consumer, DedupKey, Finding, Findings, Handler, OrderedBy, Retry,
    RunError, Severity, Shutdown, handler_fn, store::MemoryStore,
};
use steadfast_mock::MockBroker;

use crate::support::{Order, Plain, by_id, consumer};

fn handler() -> impl Handler<Message = Order> {
    handler_fn(|_: Order| async { Ok(()) })
}

#[track_caller]
fn refused<H: Handler<Message = Order>>(builder: Plain<H>, setting: &str) -> Findings {
    let findings = builder.build(MockBroker::new()).expect_err(setting);
    let [finding] = errors(&findings)[..] else { panic!("{setting}: {findings}") };
    assert_eq!(finding.setting, setting);
    assert!(!finding.found.is_empty() && !finding.needed.is_empty() && !finding.why.is_empty());
    findings
}

fn errors(findings: &Findings) -> Vec<&Finding> {
    findings.0.iter().filter(|finding| finding.severity == Severity::Error).collect()
}

fn rules(findings: &Findings) -> Vec<&'static str> {
    findings.0.iter().map(|finding| finding.rule).collect()
}

#[tokio::test]
async fn each_setting_that_does_not_fit_is_named() {
    let plain = || consumer(handler());
    let stored = || consumer(handler()).store(MemoryStore::new()).dedup_key(by_id());
    let second = Duration::from_secs(1);
    refused(Consumer::builder("a name", handler()).source("s").group("g").dead_letter("d"), "name");
    refused(plain().group(""), "group");
    refused(plain().source(""), "source");
    refused(plain().dead_letter(""), "dead_letter");
    refused(plain().dead_letter("orders"), "dead_letter");
    refused(plain().concurrency(0).max_in_flight(1), "concurrency");
    refused(plain().concurrency(8).max_in_flight(7), "max_in_flight");
    refused(plain().max_in_flight_bytes(0), "max_in_flight_bytes");
    refused(plain().retry(Retry::default().max_attempts(0)), "retry.max_attempts");
    refused(plain().timeout(Duration::ZERO), "timeout");
    refused(plain().waiting_share(0.0), "waiting_share");
    refused(plain().waiting_share(f64::NAN), "waiting_share");
    refused(
        plain().breaker(BreakerPolicy::default().failure_ratio(1.5, 10)),
        "breaker.failure_ratio",
    );
    refused(stored().lease(Duration::from_millis(50)), "lease");
    refused(stored().lease_cap(second), "lease_cap");
    refused(stored().retention(second), "retention");
    refused(consumer(handler()).store(MemoryStore::new()), "dedup_key");
    refused(consumer(handler()).dedup_key(by_id()), "store");
    refused(plain().transactional(), "transactional");
    refused(plain().stalled_after(Duration::from_millis(999)), "stalled_after");
    refused(plain().acknowledge("single-atempt"), "acknowledge");
    refused(plain().acknowledge("no-source"), "acknowledge");
}

#[tokio::test]
async fn everything_that_does_not_fit_is_told_at_once() {
    let findings = Consumer::builder("", handler()).build(MockBroker::new()).unwrap_err();
    let words = findings.to_string();
    for setting in ["name", "group", "source", "dead_letter"] {
        assert!(words.contains(&format!("\n  {setting} is ")), "{words}");
    }
}

#[tokio::test]
async fn beside_an_error_the_warnings_are_told_that_nobody_acknowledged() {
    let careless = || {
        let stored = consumer(handler()).store(MemoryStore::new()).dedup_key(by_id());
        stored.drain(Duration::from_secs(60)).concurrency(0).max_in_flight(1)
    };
    let findings = careless().build(MockBroker::new()).unwrap_err();
    assert_eq!(rules(&findings), ["no-concurrency", "long-drain", "forgetful-store"]);
    assert!(findings.to_string().contains("better a durable store"), "{findings}");
    let knowing = careless().acknowledge("long-drain").acknowledge("forgetful-store");
    assert_eq!(rules(&knowing.build(MockBroker::new()).unwrap_err()), ["no-concurrency"]);
}

async fn findings_at_start<H: Handler<Message = Order>>(
    builder: Plain<H>,
    broker: MockBroker,
) -> Findings {
    let run = builder.build(broker).unwrap().run(Shutdown::new());
    match tokio::time::timeout(Duration::from_secs(3600), run).await.expect("an end") {
        Err(RunError::Misconfigured(findings)) => findings,
        ended => panic!("{ended:?}"),
    }
}

async fn refused_at_start<H: Handler<Message = Order>>(
    builder: Plain<H>,
    broker: MockBroker,
    setting: &str,
) {
    let findings = findings_at_start(builder, broker).await;
    let [finding] = errors(&findings)[..] else { panic!("{setting}: {findings}") };
    assert_eq!(finding.setting, setting);
}

#[tokio::test(start_paused = true)]
async fn what_the_broker_cannot_do_is_refused_when_it_starts() {
    let plain = || consumer(handler());
    let hour = || Retry::with_backoff(Backoff::fixed(Duration::from_secs(3600)));
    refused_at_start(plain().ordered_by(OrderedBy::Key), MockBroker::new(), "ordered_by").await;
    let by_message_id = plain().store(MemoryStore::new()).dedup_key(DedupKey::MessageId);
    refused_at_start(by_message_id, MockBroker::new().without_stable_ids(), "dedup_key").await;
    let limited = MockBroker::new().delivery_limit(4);
    refused_at_start(plain(), limited, "the broker's delivery limit").await;
    let impatient = || MockBroker::new().ordered().fixed_hold(Duration::from_secs(1800));
    let ordered = plain().ordered_by(OrderedBy::Key).retry(hour());
    refused_at_start(ordered, impatient(), "timeout and retry").await;
    let slow = plain().timeout(Duration::from_secs(1800));
    refused_at_start(slow, impatient(), "timeout and retry").await;
}

#[tokio::test(start_paused = true)]
async fn all_that_the_broker_cannot_do_is_told_at_once() {
    let broker = MockBroker::new().without_stable_ids().delivery_limit(4);
    let asks = consumer(handler()).store(MemoryStore::new()).dedup_key(DedupKey::MessageId);
    let findings = findings_at_start(asks.ordered_by(OrderedBy::Key), broker).await;
    let [one, two, three] = errors(&findings)[..] else { panic!("{findings}") };
    let rules = [one.rule, two.rule, three.rule];
    assert_eq!(rules, ["unstable-message-ids", "unordered-source", "delivery-limit"]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_destination_hides_nothing_of_the_source() {
    let broker = MockBroker::new().strict_topics();
    broker.create_topic("orders");
    let findings = findings_at_start(consumer(handler()).ordered_by(OrderedBy::Key), broker).await;
    assert_eq!(rules(&findings), ["no-destination", "unordered-source"]);
    assert!(findings.to_string().contains("dead_letter is \"orders.dead\" ("), "{findings}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_source_and_a_missing_destination_are_told_at_once() {
    let broker = MockBroker::new().strict_topics();
    let findings = findings_at_start(consumer(handler()), broker.clone()).await;
    assert_eq!(rules(&findings), ["no-subscription", "no-destination"]);
    broker.create_topic("orders.dead");
    let findings = findings_at_start(consumer(handler()), broker).await;
    assert_eq!(rules(&findings), ["no-subscription"]);
    assert!(findings.to_string().contains("source is \"orders\" ("), "{findings}");
}

#[tokio::test(start_paused = true)]
async fn no_setting_is_too_large() {
    let broker = crate::support::broker_with(&["a"]);
    let forever = Duration::MAX;
    let huge = consumer(handler())
        .store(MemoryStore::new())
        .dedup_key(by_id())
        .concurrency(usize::MAX)
        .max_in_flight(usize::MAX)
        .max_in_flight_bytes(usize::MAX)
        .waiting_share(1.0)
        .timeout(forever / 4)
        .grace(forever / 4)
        .drain(forever)
        .lease(forever / 4)
        .lease_cap(forever)
        .retention(forever)
        .stalled_after(forever)
        .retry(Retry::with_backoff(Backoff::exponential(forever / 100, forever / 50)))
        .build(broker.clone())
        .unwrap();
    let running = broker.start(huge);
    broker.settled("orders").await;
    running.stop().await.unwrap();
}
