//! What becomes of a delivery: done, ignored, undecodable, panicking.

use std::time::Duration;

use steadfast::{Consumer, Message, handler_fn};
use steadfast_mock::MockBroker;

use crate::support::{DEAD, Ledger, Order, Record, SOURCE, broker_with, consumer, publish};

#[tokio::test(start_paused = true)]
async fn a_handled_message_is_acked() {
    let broker = broker_with(&["a", "b"]);
    let done = Ledger::default();
    let running = broker.start(
        consumer(Record { begun: done.clone(), then: |_, _| async { Ok(()) } })
            .build(broker.clone())
            .unwrap(),
    );
    broker.settled(SOURCE).await;
    running.stop().await.unwrap();
    assert_eq!(done.entries(), ["a", "b"]);
    broker.dead_letters(DEAD).expect_none();
}

#[tokio::test(start_paused = true)]
async fn a_closure_is_a_handler() {
    let broker = broker_with(&["a"]);
    let done = Ledger::default();
    let ledger = done.clone();
    let handler = handler_fn(move |order: Order| {
        let ledger = ledger.clone();
        async move {
            ledger.add(order.id);
            Ok(())
        }
    });
    let _running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(done.entries(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn undecodable_bytes_go_to_the_dead_letters_at_once_byte_for_byte() {
    let broker = MockBroker::new();
    let bytes = b"{\"id\": \"cut in ha\xff\x00".to_vec();
    broker.publish(
        SOURCE,
        Message::new(bytes.clone()).with_header("h", "\u{1}v").with_header("h", "w"),
    );
    let begun = Ledger::default();
    let handler = Record { begun: begun.clone(), then: |_, _| async { Ok(()) } };
    let _running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.entries().len(), 0);
    let letters = broker.dead_letters(DEAD);
    let letter = letters.expect_one();
    letter.with_reason("undecodable").with_payload(bytes);
    let given: Vec<_> = letter
        .message()
        .headers
        .iter()
        .filter(|(name, _)| *name == "h")
        .map(|(_, v)| v.clone())
        .collect();
    assert_eq!(given, ["\u{1}v", "w"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_filter_does_not_want_is_acked_not_dead_lettered() {
    let broker = broker_with(&["wanted"]);
    broker.publish(SOURCE, Message::new("undecodable, too").with_header("kind", "other"));
    let done = Ledger::default();
    let handler = Record { begun: done.clone(), then: |_, _| async { Ok(()) } };
    let filtered = consumer(handler).filter(|message| message.headers.first("kind").is_none());
    let _running = broker.start(filtered.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(done.entries(), ["wanted"]);
    broker.dead_letters(DEAD).expect_none();
}

#[tokio::test(start_paused = true)]
async fn a_panicking_handler_is_retried_then_dead_lettered_and_the_others_go_on() {
    let broker = broker_with(&["bad", "good"]);
    let begun = Ledger::default();
    let handler = Record {
        begun: begun.clone(),
        then: |order: Order, _| async move {
            assert_ne!(order.id, "bad", "a bug");
            Ok(())
        },
    };
    let running = broker.start(consumer(handler).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!((begun.count("bad"), begun.count("good")), (3, 1));
    broker.dead_letters(DEAD).expect_one().with_reason("exhausted").after_attempts(3);
    publish(&broker, &["later"]);
    broker.settled(SOURCE).await;
    running.stop().await.unwrap();
    assert_eq!(begun.count("later"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_tried_again() {
    let broker = broker_with(&["slow"]);
    let begun = Ledger::default();
    let handler = Record {
        begun: begun.clone(),
        then: |_, attempt| async move {
            if attempt < 3 {
                std::future::pending::<()>().await;
            }
            Ok(())
        },
    };
    let limited = consumer(handler).timeout(Duration::from_secs(10));
    let _running = broker.start(limited.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(begun.count("slow"), 3);
    broker.dead_letters(DEAD).expect_none();
}

#[tokio::test(start_paused = true)]
async fn several_consumers_run_under_one_shutdown() {
    let broker = broker_with(&["a"]);
    let (first, second) = (Ledger::default(), Ledger::default());
    let consumers = [(&first, "one"), (&second, "two")].map(|(ledger, group)| {
        let handler = Record { begun: ledger.clone(), then: |_, _| async { Ok(()) } };
        consumer(handler).group(group).build(broker.clone()).unwrap()
    });
    let shutdown = steadfast::Shutdown::new();
    let running = tokio::spawn(steadfast::run_all(consumers, shutdown.clone()));
    broker
        .until("both groups to be done", |_| first.count("a") == 1 && second.count("a") == 1)
        .await;
    shutdown.trigger();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_failing_consumer_stops_the_others() {
    let broker = MockBroker::new().strict_topics();
    broker.create_topic(SOURCE);
    broker.create_topic(DEAD);
    let handler = || handler_fn(|_: Order| async { Ok(()) });
    let fine = consumer(handler()).build(broker.clone()).unwrap();
    let missing = Consumer::builder("test.other", handler())
        .source("no-such-topic")
        .group("test")
        .dead_letter(DEAD)
        .build(broker.clone())
        .unwrap();
    let ended = steadfast::run_all([fine, missing], steadfast::Shutdown::new()).await;
    assert!(ended.unwrap_err().to_string().contains("no-such-topic"));
}
