//! Warnings at start are logged by name, until somebody says that they are meant so.

use std::time::Duration;

use steadfast::{Builder, Handler, Settings, handler_fn, store::MemoryStore};
use steadfast_mock::MockBroker;

use crate::{
    captured::Captured,
    support::{Order, SOURCE, by_id, consumer, order},
};

/// A consumer with two warnings.
fn careless() -> Builder<impl Handler<Message = Order>> {
    consumer(handler_fn(|_: Order| async { Ok(()) }))
        .store(MemoryStore::new())
        .dedup_key(by_id())
        .drain(Duration::from_secs(60))
}

/// The lines of the log that name a rule, once something has been consumed.
async fn warned(careless: Builder<impl Handler<Message = Order>>) -> Vec<String> {
    let (captured, _guard) = Captured::begin();
    let broker = MockBroker::new();
    broker.publish(SOURCE, order("a"));
    let running = broker.start(careless.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    broker.faults().disconnect();
    broker.publish(SOURCE, order("b"));
    broker.settled(SOURCE).await;
    running.stop().await.unwrap();
    let log = captured.text();
    assert!(log.contains("consuming"), "{log}");
    log.lines().filter(|line| line.contains("rule=")).map(Into::into).collect()
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_logged_once_at_start_by_its_name() {
    let warned = warned(careless()).await;
    assert_eq!(warned.len(), 2, "{warned:#?}");
    for (line, rule) in warned.iter().zip(["long-drain", "forgetful-store"]) {
        assert!(line.contains(" WARN ") && line.contains("test.orders"), "{line}");
        assert!(line.contains(&format!("acknowledge(\"{rule}\")")), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_acknowledged_in_code_or_configuration_is_silent() {
    let settings = r#"{ "acknowledge": ["forgetful-store"] }"#;
    let settings: Settings = serde_json::from_str(settings).unwrap();
    let knowing = careless().acknowledge("long-drain").configure(settings);
    assert_eq!(warned(knowing).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_of_what_does_not_occur_is_worth_a_word() {
    let more = careless().acknowledge("long-drain").acknowledge("forgetful-store");
    let warned = warned(more.acknowledge("single-attempt")).await;
    assert_eq!(warned.len(), 1, "{warned:#?}");
    assert!(warned[0].contains("acknowledge is \"single-attempt\""), "{warned:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_documentation_shows_a_line_of_the_log() {
    let slow = careless().lease(Duration::from_secs(600)).drain(Duration::from_secs(20));
    let warned = warned(slow.acknowledge("forgetful-store")).await;
    let (_, line) = warned[0].split_once("  WARN").unwrap();
    assert!(include_str!("../../../docs/checks.md").contains(line), "{line}");
}
