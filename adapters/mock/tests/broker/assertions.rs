//! What the assertions wait for, and what they say.

use std::time::Duration;

use steadfast::{Message, broker::Subscription, headers};
use steadfast_mock::MockBroker;

use crate::driver::*;

#[tokio::test(start_paused = true)]
async fn settled_waits_for_every_group() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    let billing = Session::open(&broker).await;
    let shipping = Session::with(&broker, Subscription::new("orders", "shipping")).await;
    let acks = async {
        billing.ack(billing.one().await).await.unwrap();
        pass(3600).await;
        shipping.ack(shipping.one().await).await.unwrap();
    };
    tokio::join!(acks, broker.settled("orders"));
    assert_eq!(broker.backlog("orders") + broker.unsettled("orders"), 0);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "orders/0 (m-1): held by session 1 while that lives, 1 deliveries")]
async fn settled_says_where_a_message_stands() {
    let broker = MockBroker::new().unlimited_hold();
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    let _held = session.one().await;
    broker.settled("orders").await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "nothing was ever published to `order`")]
async fn settled_notices_a_topic_that_is_misspelt() {
    let broker = MockBroker::new();
    publish(&broker, &["a"]);
    broker.settled("order").await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "orders/0: taken away by the delivery limit")]
async fn settled_notices_what_the_delivery_limit_took_away() {
    let broker = MockBroker::new().delivery_limit(1);
    publish(&broker, &["a"]);
    let session = Session::open(&broker).await;
    session.requeue(session.one().await, 0).await.unwrap();
    broker.settled("orders").await;
}

#[tokio::test(start_paused = true)]
async fn until_waits_for_a_condition() {
    let broker = MockBroker::new();
    let later = async {
        pass(60).await;
        publish(&broker, &["a", "b"]);
    };
    let two = broker.until("two messages", |broker| broker.messages("orders").len() == 2);
    tokio::join!(later, two);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "waited in vain for a message")]
async fn patience_ends() {
    let broker = MockBroker::new().patience(Duration::from_secs(1));
    broker.until("a message", |broker| broker.backlog("orders") > 0).await;
}

fn letter() -> Message {
    Message::new("s3cret")
        .with_header("token", "s3cret")
        .with_header(headers::ATTEMPTS, "5")
        .with_header(headers::REASON, "exhausted")
        .with_header(headers::FAILURE_KIND, "transient")
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_reads_like_a_sentence() {
    let broker = MockBroker::new();
    broker.dead_letters("orders.dead").expect_none();
    broker.publish("orders.dead", letter());
    broker
        .dead_letters("orders.dead")
        .expect_one()
        .with_reason("exhausted")
        .with_payload(b"s3cret")
        .with_header("token", "s3cret")
        .after_attempts(5);
}

#[test]
fn no_panic_shows_a_content() {
    let broker = MockBroker::new();
    broker.publish("orders.dead", letter());
    let letters = broker.dead_letters("orders.dead");
    let one = letters.expect_one();
    let complaints: [&dyn Fn(); 5] = [
        &|| letters.expect_none(),
        &|| {
            one.with_reason("permanent");
        },
        &|| {
            one.with_payload("other");
        },
        &|| {
            one.with_header("token", "other");
        },
        &|| {
            one.after_attempts(4);
        },
    ];
    for complain in complaints {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(complain)).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(!text.contains("s3cret"), "{text}");
    }
    assert!(!format!("{broker:?} {letters:?} {one:?}").contains("s3cret"));
}
