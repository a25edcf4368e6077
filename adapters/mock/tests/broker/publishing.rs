//! Publishing, by tests and by consumers.

use steadfast::{
    Message,
    broker::{Broker, BrokerError, PublishError},
};
use steadfast_mock::MockBroker;

use crate::driver::*;

#[tokio::test(start_paused = true)]
async fn what_is_published_is_there() {
    let broker = MockBroker::new();
    let publisher = broker.publisher().await.unwrap();
    publisher.check("orders").await.unwrap();
    assert!(broker.messages("orders").is_empty(), "a check leaves nothing behind");
    let message = Message::new("a").with_key("k").with_header("h", "v");
    publisher.publish("orders", &message).await.unwrap();
    assert_eq!(broker.messages("orders"), [message]);
}

#[tokio::test(start_paused = true)]
async fn json_is_published_as_json() {
    let broker = MockBroker::new();
    broker.publish_json("orders", &[1, 2]);
    assert_eq!(broker.messages("orders"), [Message::new("[1,2]")]);
}

#[tokio::test(start_paused = true)]
async fn a_producer_can_choose_the_id() {
    let broker = MockBroker::new();
    broker.publish_as("id-1", "orders", Message::new("a"));
    let delivery = Session::open(&broker).await.one().await;
    assert_eq!(delivery.origin.message_id.as_deref(), Some("id-1"));
}

#[tokio::test(start_paused = true)]
async fn too_large_a_message_is_refused() {
    let broker = MockBroker::new().max_message_bytes(3);
    let publisher = broker.publisher().await.unwrap();
    publisher.publish("orders", &Message::new("abc")).await.unwrap();
    let answer = publisher.publish("orders", &Message::new("abcd")).await;
    assert!(matches!(answer, Err(PublishError::Refused(_))), "{answer:?}");
    assert_eq!(broker.messages("orders").len(), 1);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a message of 4 bytes is too large")]
async fn a_test_that_publishes_too_large_a_message_panics() {
    MockBroker::new().max_message_bytes(3).publish("orders", Message::new("abcd"));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "settings of a mock broker come before its first use")]
async fn settings_come_before_use() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    drop(broker.ordered());
}

#[tokio::test(start_paused = true)]
async fn a_missing_destination_is_found_by_the_check() {
    let broker = MockBroker::new().strict_topics();
    let publisher = broker.publisher().await.unwrap();
    let checked = publisher.check("orders.dead").await;
    assert!(
        matches!(checked, Err(BrokerError::Misconfigured(text)) if text.contains("orders.dead"))
    );
    let published = publisher.publish("orders.dead", &Message::new("a")).await;
    assert!(matches!(published, Err(PublishError::Unavailable(_))), "{published:?}");
    broker.create_topic("orders.dead");
    publisher.check("orders.dead").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_down_takes_nothing_until_it_is_up() {
    let broker = MockBroker::new();
    let publisher = broker.publisher().await.unwrap();
    broker.faults().take_down("orders");
    let published = publisher.publish("orders", &Message::new("a")).await;
    assert!(matches!(published, Err(PublishError::Unavailable(_))), "{published:?}");
    assert!(matches!(publisher.check("orders").await, Err(BrokerError::Unavailable(_))));
    broker.faults().bring_up("orders");
    publisher.publish("orders", &Message::new("a")).await.unwrap();
    assert_eq!(broker.messages("orders").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn publishes_fail_as_planned() {
    let broker = MockBroker::new();
    broker.faults().refuse_publishes("orders", 1).fail_publishes("orders", 1);
    let publisher = broker.publisher().await.unwrap();
    let message = Message::new("a");
    let refused = publisher.publish("orders", &message).await;
    assert!(matches!(refused, Err(PublishError::Refused(_))), "{refused:?}");
    let failed = publisher.publish("orders", &message).await;
    assert!(matches!(failed, Err(PublishError::Unavailable(_))), "{failed:?}");
    publisher.publish("payments", &message).await.unwrap();
    publisher.publish("orders", &message).await.unwrap();
    assert_eq!(broker.messages("orders").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_confirmation_leaves_the_message() {
    let broker = MockBroker::new();
    broker.faults().lose_confirms("orders", 1);
    let publisher = broker.publisher().await.unwrap();
    let published = publisher.publish("orders", &Message::new("a")).await;
    assert!(matches!(published, Err(PublishError::Unavailable(_))), "{published:?}");
    assert_eq!(broker.messages("orders").len(), 1);
}
