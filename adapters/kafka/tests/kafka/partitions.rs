//! Which partition a message goes to, and how far each is behind.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{
    Consumer, HandlerError, Message, OrderedBy, Raw, Shutdown,
    broker::{Broker as _, PublishError, Subscription},
    handler_fn,
};
use steadfast_kafka::{KafkaBroker, Partitioner};
use tokio::sync::Barrier;

use crate::{
    fresh_topic, publish,
    support::{
        quick,
        session::{Session, place, text, until, until_is},
        unique,
    },
};

/// To the partition that the message's first byte names.
fn named(servers: &str) -> KafkaBroker {
    let named = |message: &Message, _| u32::from(message.payload.as_ref().expect("text")[0] - b'0');
    quick(servers).partitioner(Partitioner::Explicit(Arc::new(named)))
}

/// From `UtilsTest.testMurmur2` of Apache Kafka, whose producer takes `toPositive(hash) % partitions`.
const MURMUR2: [(&str, i32); 6] = [
    ("21", -973_932_308),
    ("foobar", -790_332_482),
    ("a-little-bit-long-string", -985_981_536),
    ("a-little-bit-longer-string", -1_486_304_829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
    ("abc", 479_470_107),
];

#[tokio::test(flavor = "multi_thread")]
async fn murmur2_chooses_the_partitions_that_java_chooses() {
    const PARTITIONS: i32 = 7;
    let (servers, topic) = fresh_topic("murmur2", PARTITIONS).await;
    let broker = quick(&servers);
    publish(&broker, &topic, &MURMUR2.map(|(key, _)| key)).await;
    let mut session = Session::open(&broker, &topic, &unique("group")).await;
    for _ in MURMUR2 {
        let delivery = session.next().await;
        let key = delivery.message.key.as_ref().expect("a key");
        let (key, hash) =
            MURMUR2.iter().find(|(known, _)| known.as_bytes() == &key[..]).expect("it was sent");
        let expected = (hash & 0x7fff_ffff) % PARTITIONS;
        assert_eq!(place(&delivery).0, expected, "{key}");
    }
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_of_the_users_chooses_and_what_it_does_wrong_is_refused() {
    let (servers, topic) = fresh_topic("explicit", 3).await;
    let broker = named(&servers);
    publish(&broker, &topic, &["2", "0", "1"]).await;
    let publisher = broker.publisher().await.expect("a publisher");
    let beyond = publisher.publish(&topic, &Message::new("3")).await;
    assert!(matches!(beyond, Err(PublishError::Refused(_))), "{beyond:?}");
    let panics = publisher.publish(&topic, &Message::tombstone()).await;
    assert!(matches!(panics, Err(PublishError::Refused(_))), "{panics:?}");

    let mut session = Session::open(&broker, &topic, &unique("group")).await;
    for _ in 0..3 {
        let delivery = session.next().await;
        let partition = place(&delivery).0.to_string();
        assert_eq!(text(&delivery.message), partition);
    }
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_messages_are_slow_leaves_half_of_the_room_to_the_others() {
    let (servers, topic) = fresh_topic("room", 2).await;
    let broker = named(&servers);
    publish(&broker, &topic, &["0"; 10]).await;
    let subscription = Subscription::new(&topic, unique("group")).max_messages(4);
    let mut session = Session::open_as(&broker, &subscription).await;
    let slow = [session.next().await, session.next().await];
    publish(&broker, &topic, &["1"; 3]).await;
    for offset in 0..3 {
        let other = session.next().await;
        assert_eq!(place(&other), (1, offset), "the room of the others");
        session.ack(other).await;
    }
    for delivery in slow {
        session.ack(delivery).await;
        assert_eq!(place(&session.next().await).0, 0);
    }
    session.close().await;
}

/// Handlers that end only in twos, one of each partition.
struct InTwos {
    at_work: Mutex<BTreeSet<u8>>,
    done: Mutex<Vec<String>>,
    both: Barrier,
}

impl InTwos {
    async fn handle(&self, message: &Message) -> Result<(), HandlerError> {
        let text = text(message);
        let partition = text.as_bytes()[0];
        if !self.at_work.lock().expect("nothing panics under it").insert(partition) {
            return Err(HandlerError::permanent("another one of this partition is at work"));
        }
        self.both.wait().await;
        self.done.lock().expect("nothing panics under it").push(text);
        self.at_work.lock().expect("nothing panics under it").remove(&partition);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_each_in_order_and_go_on_side_by_side() {
    let (servers, topic) = fresh_topic("by-partition", 2).await;
    let (_, dead) = fresh_topic("by-partition-dead", 1).await;
    let broker = named(&servers);
    publish(&broker, &topic, &["0 a", "0 b", "0 c", "1 a", "1 b", "1 c"]).await;
    let handlers = Arc::new(InTwos {
        at_work: Mutex::default(),
        done: Mutex::default(),
        both: Barrier::new(2),
    });
    let work = Arc::clone(&handlers);
    let handler = handler_fn(move |message: Message| {
        let work = Arc::clone(&work);
        async move { work.handle(&message).await }
    });
    let consumer = Consumer::builder("by-partition", handler)
        .codec(Raw)
        .source(&topic)
        .group(unique("group"))
        .dead_letter(&dead)
        .ordered_by(OrderedBy::Partition)
        .build(broker)
        .expect("the policy is sound");
    let shutdown = Shutdown::new();
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    let done = async |partition| {
        let done = handlers.done.lock().expect("nothing panics under it");
        done.iter().filter(|text| text.starts_with(partition)).cloned().collect::<Vec<_>>()
    };
    until_is(vec!["0 a".to_owned(), "0 b".into(), "0 c".into()], async || done('0').await).await;
    until_is(vec!["1 a".to_owned(), "1 b".into(), "1 c".into()], async || done('1').await).await;
    shutdown.trigger();
    running.await.expect("it does not panic").expect("it ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_partition_shows_its_own_lag_and_a_partition_that_is_gone_none() {
    let (servers, topic) = fresh_topic("lag", 2).await;
    let broker = named(&servers);
    publish(&broker, &topic, &["0 stuck", "0", "0", "1", "1"]).await;
    let mut session = Session::open(&broker, &topic, &unique("group")).await;
    let mut stuck = None;
    for _ in 0..5 {
        let delivery = session.next().await;
        match place(&delivery) {
            (0, 0) => stuck = Some(delivery),
            _ => session.ack(delivery).await,
        }
    }
    let lag = async || broker.lag().iter().map(|lag| (lag.partition, lag.offsets)).collect();
    until_is(vec![(0, 3), (1, 0)], lag).await;
    until("the stuck message to grow old", async || {
        let ages: Vec<_> = broker.lag().into_iter().map(|lag| lag.oldest_unsettled).collect();
        ages[0].is_some_and(|age| age > Duration::from_secs(1)) && ages[1].is_none()
    })
    .await;
    session.ack(stuck.expect("it came")).await;
    let lag = async || broker.lag().iter().map(|lag| (lag.partition, lag.offsets)).collect();
    until_is(vec![(0, 0), (1, 0)], lag).await;
    session.close().await;
    assert_eq!(broker.lag(), []);
}
