//! Nothing of a message's contents in logs, spans, errors or `Debug`.

use steadfast::{HandlerError, handler_fn, store::MemoryStore};
use steadfast_mock::{FaultyStore, MockBroker};

use crate::{
    captured::Captured,
    support::{Order, SOURCE, by_id, consumer, order},
};

const CANARY: &str = "canary-4711";

#[tokio::test(start_paused = true)]
async fn a_canary_in_payload_key_header_and_error_stays_out_of_the_logs() {
    let (captured, _guard) = Captured::begin();
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

    let logs = captured.text();
    assert!(logs.contains("dead-lettered") && logs.contains("messaging.system"), "{logs}");
    assert!(!logs.contains(CANARY), "{logs}");
}
