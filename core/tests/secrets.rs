//! Nothing of a message's contents in logs, spans, errors or `Debug`.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::{
    io,
    sync::{Arc, Mutex},
};

use steadfast::{HandlerError, handler_fn, store::MemoryStore};
use steadfast_mock::{FaultyStore, MockBroker};

// A process of its own: whether a log line is made at all is decided once for a process.
#[path = "promises/support.rs"]
#[allow(dead_code, reason = "shared with the promises, which use the rest")]
mod support;

use support::{Order, SOURCE, by_id, consumer, order};

const CANARY: &str = "canary-4711";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_in_payload_key_header_and_error_stays_out_of_the_logs() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_ansi(false)
        .with_writer({
            let captured = captured.clone();
            move || captured.clone()
        })
        .finish();
    let _default = tracing::subscriber::set_default(subscriber);

    let broker = MockBroker::new();
    for n in 0..4 {
        broker.publish(SOURCE, order(format!("{n} {CANARY}")).with_header("secret", CANARY));
    }
    broker.publish(SOURCE, steadfast::Message::new(format!("{{\"{CANARY}")));
    broker.faults().lose_acks(1).fail_settles(1).fail_publishes("orders.dead", 1);
    let store = FaultyStore::new(MemoryStore::new());
    store.lose_replies(2);
    let handler = handler_fn(|order: Order| async move {
        match order.id.as_bytes()[0] {
            b'0' => Err(HandlerError::transient(format!("no card {}", order.id))),
            b'1' => Err(HandlerError::permanent(format!("no card {}", order.id))),
            b'2' => panic!("{}", order.id),
            _ => Ok(()),
        }
    });
    let stored = consumer(handler).store(store).dedup_key(by_id());
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;

    let logs = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(logs.contains("dead-lettered") && logs.contains("messaging.system"), "{logs}");
    assert!(!logs.contains(CANARY), "{logs}");
}
