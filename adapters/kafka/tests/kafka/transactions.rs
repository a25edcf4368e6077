//! Offsets that hold nothing: marks of transactions, what was aborted, what was compacted.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord, Producer as _},
};
use steadfast_kafka::KafkaBroker;
use tokio::task::block_in_place;

use crate::{
    fresh_topic, publish,
    support::{
        admin, quick,
        session::{PATIENCE, Session, place, text, until, until_is},
        unique,
    },
};

fn transactional(servers: &str) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("transactional.id", unique("transactions"));
    // One that is left open is not ended by the server while the test looks.
    config.set("transaction.timeout.ms", "600000");
    let producer: FutureProducer = config.create().expect("a producer");
    block_in_place(|| producer.init_transactions(PATIENCE)).expect("transactions");
    producer
}

async fn send(producer: &FutureProducer, topic: &str, text: &str) {
    let record = FutureRecord::<[u8], [u8]>::to(topic).payload(text.as_bytes());
    producer.send(record, PATIENCE).await.expect("it is sent");
}

fn offsets_behind(broker: &KafkaBroker) -> Vec<u64> {
    broker.lag().iter().map(|lag| lag.offsets).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_a_transaction_that_hangs_is_no_backlog() {
    let (servers, topic) = fresh_topic("hanging", 1).await;
    let broker = quick(&servers);
    publish(&broker, &topic, &["before"]).await;
    let hanging = transactional(&servers);
    hanging.begin_transaction().expect("a transaction");
    send(&hanging, &topic, "in it").await;
    publish(&broker, &topic, &["behind"]).await;

    let mut session = Session::open(&broker, &topic, &unique("group")).await;
    let delivery = session.next().await;
    assert_eq!(text(&delivery.message), "before");
    session.ack(delivery).await;
    until_is(vec![0], async || offsets_behind(&broker)).await;
    assert_eq!(session.source.backlog().await.expect("it is told"), Some(0));

    block_in_place(|| hanging.commit_transaction(PATIENCE)).expect("it is committed");
    for expected in ["in it", "behind"] {
        let delivery = session.next().await;
        assert_eq!(text(&delivery.message), expected);
        session.ack(delivery).await;
    }
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_passes_what_was_aborted_and_the_marks_at_the_end() {
    let (servers, topic) = fresh_topic("aborted", 1).await;
    let (broker, group) = (quick(&servers), unique("group"));
    let producer = transactional(&servers);
    producer.begin_transaction().expect("a transaction");
    send(&producer, &topic, "kept").await;
    block_in_place(|| producer.commit_transaction(PATIENCE)).expect("it is committed");
    producer.begin_transaction().expect("a transaction");
    for _ in 0..3 {
        send(&producer, &topic, "aborted").await;
    }
    block_in_place(|| producer.abort_transaction(PATIENCE)).expect("it is aborted");

    let mut session = Session::open(&broker, &topic, &group).await;
    let delivery = session.next().await;
    assert_eq!(text(&delivery.message), "kept");
    session.ack(delivery).await;
    // The message, its mark, three that were aborted, and their mark.
    let end = BTreeMap::from([(0, 6)]);
    tokio::select! {
        delivery = session.next() => panic!("{:?} is not committed", text(&delivery.message)),
        () = until_is(end, async || admin::committed(&servers, &group, &topic)) => {}
    }
    until_is(vec![0], async || offsets_behind(&broker)).await;
    session.close().await;

    publish(&broker, &topic, &["next"]).await;
    let mut session = Session::open(&broker, &topic, &group).await;
    assert_eq!(text(&session.next().await.message), "next");
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_in_a_compacted_topic_hold_nothing_up() {
    let servers = steadfast_test_servers::kafka();
    let (topic, group) = (unique("compacted"), unique("group"));
    let compacted = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("segment.ms", "100"),
    ];
    admin::create_topic_with(&servers, &topic, 1, &compacted).await;
    let broker = quick(&servers);
    // What is written is compacted once it is no longer in the newest segment.
    let mut published = 0;
    let mut all = Vec::new();
    until("the topic to be compacted", async || {
        publish(&broker, &topic, &["a", "b", "a", "a"]).await;
        published += 4;
        tokio::time::sleep(Duration::from_millis(100)).await;
        all = block_in_place(|| admin::read_all(&servers, &topic));
        all.len() < published
    })
    .await;

    let mut session = Session::open(&broker, &topic, &group).await;
    let end = i64::try_from(published).expect("a few");
    loop {
        let delivery = session.next().await;
        let (_, offset) = place(&delivery);
        session.ack(delivery).await;
        if offset + 1 == end {
            break;
        }
    }
    until_is(BTreeMap::from([(0, end)]), async || admin::committed(&servers, &group, &topic)).await;
    session.close().await;
}
