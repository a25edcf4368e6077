//! What is down is logged with the consumer that found it so.

use steadfast::handler_fn;
use steadfast_mock::MockBroker;

use crate::{
    captured::Captured,
    support::{Order, SOURCE, consumer, order},
};

/// The warnings of a consumer that has consumed one message.
async fn warnings(disconnect: bool) -> Vec<String> {
    let (captured, _guard) = Captured::begin();
    let broker = MockBroker::new();
    broker.publish(SOURCE, order("a"));
    let handler = handler_fn(|_: Order| async { Ok(()) });
    let running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    if disconnect {
        broker.faults().disconnect();
        broker.publish(SOURCE, order("b"));
        broker.settled(SOURCE).await;
    }
    running.stop().await.unwrap();
    captured.text().lines().filter(|line| line.contains(" WARN ")).map(Into::into).collect()
}

#[tokio::test(start_paused = true)]
async fn a_start_and_a_stop_are_nothing_to_warn_of() {
    assert_eq!(warnings(false).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_logged_with_the_name_of_the_consumer() {
    let warnings = warnings(true).await;
    let outage = warnings.iter().find(|line| line.contains("not ready")).expect("an outage");
    assert!(outage.contains("consumer=\"test.orders\"") && outage.contains("broker"), "{outage}");
}
