//! A server that goes away under load: one of its own.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use futures::future::join_all;
use rdkafka::{
    mocking::MockCluster,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use steadfast::{
    Consumer, DedupKey, HandlerError, Message, Shutdown,
    broker::{Broker as _, Subscription},
    handler_fn,
    store::MemoryStore,
};
use steadfast_kafka::Partitioner;
use steadfast_test_servers::Kafka;
use tokio::{sync::Semaphore, time::timeout};

use crate::support::{
    admin, classic, quick,
    session::{PATIENCE, Session, until, until_is},
};

const MESSAGES: usize = 400;

/// Brokers that answer, and a group that nobody can get into: not a consumer that is ready and receives
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_a_coordinator_is_an_outage() {
    let cluster = MockCluster::new(1).expect("a cluster in this process");
    cluster.create_topic("orders", 1, 1).expect("a topic");
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE; 10_000];
    cluster.request_errors(RDKafkaApiKey::FindCoordinator, &refused);
    let broker = quick(&cluster.bootstrap_servers());
    let subscription = Subscription::new("orders", "billing");
    let refused =
        timeout(PATIENCE, broker.subscribe(&subscription)).await.expect("it ends in time");
    let words = refused.err().expect("nobody gets in").to_string();
    assert!(words.contains("coordinator of the group `billing`"), "{words}");
    cluster.clear_request_errors(RDKafkaApiKey::FindCoordinator);
    Session::open(&broker, "orders", "billing").await.close().await;
}

/// All its replicas are away. Its member goes on with the others, and with it when somebody leads it: whether it is
/// asked for together with them, or alone, because they have positions.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_holds_up_no_other() {
    let cluster = MockCluster::new(1).expect("a cluster in this process");
    let choose = |message: &Message, _| u32::from(message.key.as_deref() == Some(&b"1"[..]));
    let chosen = Partitioner::Explicit(Arc::new(choose));
    // The cluster in this process does not see a member leave: its session must end.
    let broker = classic(&cluster.bootstrap_servers()).partitioner(chosen);
    let publisher = broker.publisher().await.expect("a publisher");
    for others_have_positions in [false, true] {
        let topic = format!("positions-{others_have_positions}");
        cluster.create_topic(&topic, 2, 1).expect("a topic");
        let publish = async |key: &str| {
            let message = Message::new(key.to_owned()).with_key(key.to_owned());
            publisher.publish(&topic, &message).await.expect("it is published");
        };
        publish("0").await;
        if others_have_positions {
            let mut session = Session::open(&broker, &topic, &topic).await;
            let first = session.next().await;
            session.ack(first).await;
            session.close().await;
            publish("0").await;
        }
        publish("1").await;
        cluster.partition_leader(&topic, 1, None).expect("nobody leads it");
        let mut session = Session::open(&broker, &topic, &topic).await;
        assert_eq!(session.next().await.message.payload.as_deref(), Some(&b"0"[..]));
        cluster.partition_leader(&topic, 1, Some(1)).expect("somebody leads it");
        assert_eq!(session.next().await.message.payload.as_deref(), Some(&b"1"[..]));
        session.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_broker_restarts_under_load() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kafka-that-restarts");
    let _ = std::fs::remove_dir_all(&folder);
    let mut server = Kafka::start(folder).expect("a server of our own");
    let servers = server.url().to_owned();
    admin::create_topic(&servers, "orders", 3).await;
    admin::create_topic(&servers, "dead", 1).await;
    let broker = classic(&servers).set("reconnect.backoff.max.ms", "500");
    let publisher = broker.publisher().await.expect("a publisher");
    let all = (0..MESSAGES).map(|number| {
        let message = Message::new(format!("\"{number}\"")).with_key(number.to_string());
        let publisher = &publisher;
        async move { publisher.publish("orders", &message).await }
    });
    join_all(all).await.into_iter().for_each(|published| published.expect("it is published"));

    let runs = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let seen = Arc::clone(&runs);
    // So that the restart comes into the middle.
    let may_end = Arc::new(Semaphore::new(MESSAGES / 4));
    let permits = Arc::clone(&may_end);
    let handler = handler_fn(move |text: String| {
        let (seen, permits) = (Arc::clone(&seen), Arc::clone(&permits));
        async move {
            permits.acquire().await.map_err(HandlerError::transient)?.forget();
            *seen.lock().expect("it only counts").entry(text).or_default() += 1;
            Ok::<_, HandlerError>(())
        }
    });
    let consumer = Consumer::builder("restart", handler)
        .source("orders")
        .group("billing")
        .dead_letter("dead")
        .concurrency(4)
        .store(MemoryStore::new())
        .dedup_key(DedupKey::of(|text: &String| text.clone()))
        .build(broker.clone())
        .expect("a sound policy");
    let (health, shutdown) = (consumer.health(), Shutdown::new());
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    let handled = async || runs.lock().expect("it only counts").len();
    until("some to be handled", async || handled().await > MESSAGES / 8).await;

    tokio::task::block_in_place(|| server.kill()).expect("it is killed");
    may_end.add_permits(4 * MESSAGES);
    until("the consumer to say so", async || !health.is_ready()).await;
    tokio::task::block_in_place(|| server.start_again()).expect("it starts again");

    until_is(MESSAGES, handled).await;
    until("the consumer to be ready again", async || health.is_ready()).await;
    until_is(MESSAGES as i64, async || {
        tokio::task::block_in_place(|| admin::committed(&servers, "billing", "orders"))
            .values()
            .sum::<i64>()
    })
    .await;
    shutdown.trigger();
    running.await.expect("it does not panic").expect("it ends well");
    let runs = runs.lock().expect("it only counts");
    assert!(runs.values().all(|runs| *runs == 1), "the store lets nothing run twice: {runs:?}");
}
