//! Dead letters: confirmed before the original is settled (P1), with their whole story.

use std::time::Duration;

use steadfast::{
    HandlerError, Message, Reason, Story, handler_fn,
    store::{MemoryStore, Note},
};
use steadfast_mock::{MockBroker, Point};

use crate::{
    picky::Picky,
    support::{
        DEAD, Ledger, Order, Record, SOURCE, broker_with, by_id, consumer, down, failure, order,
        publish,
    },
};

fn rejecting() -> impl steadfast::Handler<Message = Order> {
    handler_fn(|order: Order| async move {
        if order.id.starts_with("bad") {
            return Err(HandlerError::permanent("the card number 4711 is not known"));
        }
        Ok(())
    })
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_tells_its_whole_story() {
    let broker = MockBroker::new();
    let message = order("bad").with_header("traceparent", "00-aa-bb-01");
    let id = broker.publish(SOURCE, message.clone());
    let stored = consumer(rejecting()).store(MemoryStore::new()).dedup_key(by_id());
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    let letters = broker.dead_letters(DEAD);
    let letter = letters.expect_one();
    let dead = letter.message();
    assert_eq!((&dead.payload, &dead.key), (&message.payload, &message.key));
    assert_eq!(dead.headers.text("traceparent"), Some("00-aa-bb-01"));
    let story = Story::read(dead).unwrap();
    assert_eq!(story.reason, Reason::Permanent);
    assert_eq!(story.failure_kind, "permanent");
    assert_eq!((story.consumer.as_str(), story.group.as_str()), ("test.orders", "test"));
    assert_eq!(story.attempts, 1);
    assert_eq!(&*story.origin.source, SOURCE);
    assert_eq!(story.origin.message_id, Some(id));
    assert!(story.origin.published_at.is_some() && story.origin.position.is_some());
    assert!(story.history.first_failed.is_some());
    assert!(story.history.last_error.as_ref().unwrap().contains("4711"));
    assert_eq!(story.record.as_ref().unwrap().key.as_bytes(), b"bad");
    assert!(story.fence.is_some());
    assert_eq!(story.original(dead).unwrap().headers.text("steadfast-redrives"), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_first_failure_is_remembered_across_the_broker() {
    let broker = broker_with(&["a"]);
    let begun = Ledger::default();
    let handler = Record { begun, then: |_, n| async move { Err(failure(&format!("no. {n}"))) } };
    let stored = consumer(handler).store(MemoryStore::new()).dedup_key(by_id());
    let _running = broker.start(stored.build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    let letters = broker.dead_letters(DEAD);
    let story = Story::read(letters.expect_one().message()).unwrap();
    assert!(story.history.first_failed.unwrap() <= story.history.last_failed.unwrap());
    assert!(story.history.last_error.unwrap().contains("no. 3"));
}

#[tokio::test(start_paused = true)]
async fn while_the_destination_is_down_nothing_is_lost_and_intake_pauses() {
    let broker = MockBroker::new();
    let stored = consumer(rejecting()).store(MemoryStore::new()).dedup_key(by_id());
    let consumer = stored.concurrency(2).build(broker.clone()).unwrap();
    let health = consumer.health();
    let _running = broker.start(consumer);
    health.ready().await;
    broker.faults().take_down(DEAD);
    publish(&broker, &["bad"]);
    down(&health, "dead letters").await;
    assert_eq!(health.reasons(), ["dead letters"]);
    publish(&broker, &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    tokio::time::sleep(Duration::from_secs(4 * 3600)).await;
    let (held, waiting) = (broker.unsettled(SOURCE), broker.backlog(SOURCE));
    assert_eq!(held + waiting, 11, "acked during the outage");
    assert!(waiting > 0, "intake went on during the outage");
    broker.dead_letters(DEAD).expect_none();
    broker.faults().bring_up(DEAD);
    broker.settled(SOURCE).await;
    broker.dead_letters(DEAD).expect_one().with_reason("permanent").after_attempts(1);
    health.ready().await;
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_dead_letter_does_not_let_the_original_go() {
    for point in [Point::BeforePublish, Point::AfterPublish, Point::BeforeSettle] {
        let broker = broker_with(&["bad"]);
        let store = MemoryStore::new();
        let start = || {
            let stored = consumer(rejecting()).store(store.clone()).dedup_key(by_id());
            broker.start(stored.build(broker.clone()).unwrap())
        };
        broker.crash_at(point);
        let running = start();
        broker.crashed().await;
        drop(running);
        let published = broker.dead_letters(DEAD).len();
        assert_eq!(published, usize::from(point != Point::BeforePublish), "{point:?}");
        let _second = start();
        broker.settled(SOURCE).await;
        let letters = broker.dead_letters(DEAD);
        assert!(!letters.is_empty(), "lost at {point:?}");
        assert!(letters.iter().all(|letter| letter.message().key.as_deref() == Some(b"bad")));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_destination_refuses_is_cut_and_does_not_stop_the_others() {
    let broker = MockBroker::new().max_message_bytes(8192);
    let big = format!("{{\"id\":\"bad{}\"}}", "x".repeat(8000));
    broker.publish(SOURCE, Message::new(big.clone()).with_key("k"));
    publish(&broker, &["good"]);
    let _running = broker.start(consumer(rejecting()).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    let letters = broker.dead_letters(DEAD);
    let letter = letters.expect_one();
    let story = Story::read(letter.message()).unwrap();
    assert_eq!(story.cut_from, Some(big.len() as u64));
    assert!(big.as_bytes().starts_with(letter.message().payload.as_ref().unwrap()));
    assert!(story.original(letter.message()).is_none());
    assert_eq!(letter.message().headers.text("steadfast-cut-payload-sha256").unwrap().len(), 64);
}

/// There is no payload to cut, and what is left is not the message all the same.
#[tokio::test(start_paused = true)]
async fn a_cut_letter_without_a_payload_is_not_redriven() {
    let broker = MockBroker::new().max_message_bytes(8192);
    broker.publish(SOURCE, Message::tombstone().with_header("h", vec![b'x'; 7900]));
    let _running = broker.start(consumer(rejecting()).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    let letters = broker.dead_letters(DEAD);
    let letter = letters.expect_one();
    assert!(letter.message().headers.first("h").is_none());
    let story = Story::read(letter.message()).unwrap();
    assert_eq!((story.cut_from, story.original(letter.message())), (Some(0), None));
}

#[tokio::test(start_paused = true)]
async fn a_missing_destination_is_refused_at_start() {
    let broker = MockBroker::new().strict_topics();
    broker.create_topic(SOURCE);
    let ended =
        consumer(rejecting()).build(broker.clone()).unwrap().run(steadfast::Shutdown::new());
    assert!(ended.await.unwrap_err().to_string().contains(DEAD));
}

#[tokio::test(start_paused = true)]
async fn a_message_beyond_the_limits_is_dead_lettered_undecoded() {
    let broker = MockBroker::new();
    broker.publish(SOURCE, order("good").with_header("h", vec![b'x'; 70_000]));
    let _running = broker.start(consumer(rejecting()).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    let letters = broker.dead_letters(DEAD);
    let story = Story::read(letters.expect_one().with_reason("oversize").message()).unwrap();
    assert!(story.history.last_error.unwrap().contains("limits.header_bytes is 65536"));
}

#[tokio::test(start_paused = true)]
async fn words_that_the_store_refuses_cost_no_second_letter() {
    for refuses in [|note: &Note| note.error.contains('4'), |_: &Note| true] {
        let broker = broker_with(&["bad"]);
        let picky = Picky { refuses: Some(refuses), ..Picky::default() };
        let stored = consumer(rejecting()).store(picky).dedup_key(by_id());
        let _running = broker.start(stored.build(broker.clone()).unwrap());
        broker.settled(SOURCE).await;
        broker.dead_letters(DEAD).expect_one();
    }
}

#[test]
fn a_note_has_no_nul() {
    assert_eq!(Note::new("bad value \0").error, "bad value \u{fffd}");
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_refused_twice_does_not_stop_the_others() {
    let broker = MockBroker::new();
    broker.publish(SOURCE, Message::new("not JSON").with_key("k").with_header("h", "v"));
    publish(&broker, &["good"]);
    broker.faults().refuse_publishes(DEAD, 2);
    let _running = broker.start(consumer(rejecting()).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    let letters = broker.dead_letters(DEAD);
    let bare = letters.expect_one();
    assert_eq!((bare.message().headers.first("h"), &bare.message().key), (None, &None));
    bare.with_payload("not JSON").with_reason("undecodable");
}

#[tokio::test(start_paused = true)]
async fn forged_retry_headers_do_not_grow_a_letter_without_bound() {
    let broker = MockBroker::new().max_message_bytes(64 << 10);
    let forged = Message::new("not JSON")
        .with_header("steadfast-retry-attempts", "0")
        .with_header("steadfast-retry-source", "s")
        .with_header("steadfast-retry-message-id", "x".repeat(60 << 10));
    broker.publish(SOURCE, forged);
    let _running = broker.start(consumer(rejecting()).build(broker.clone()).unwrap());
    broker.settled(SOURCE).await;
    assert!(broker.dead_letters(DEAD).expect_one().message().size() < 8 << 10);
}
