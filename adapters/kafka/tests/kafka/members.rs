//! Members of a group, and what becomes of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use steadfast::{
    Cancelled, Consumer, HandlerError, Message, RunError, Shutdown,
    broker::{Broker as _, SettleError, Subscription},
    handler_fn,
};
use steadfast_kafka::{GroupProtocol, KafkaBroker, Partitioner};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    fresh_topic,
    support::{
        admin, classic, quick,
        session::{PATIENCE, Session, place, until, until_is},
        unique,
    },
};

fn start(
    broker: &KafkaBroker,
    (topic, dead): (&str, &str),
    group: &str,
) -> (Shutdown, JoinHandle<Result<(), RunError>>) {
    let handler = handler_fn(|_: String| async { Ok::<_, HandlerError>(()) });
    let consumer = Consumer::builder("members", handler)
        .source(topic)
        .group(group)
        .dead_letter(dead)
        .drain(Duration::from_secs(2))
        .build(broker.clone())
        .expect("a sound policy");
    let shutdown = Shutdown::new();
    (shutdown.clone(), tokio::spawn(consumer.run(shutdown)))
}

async fn dead_letters(servers: &str) -> String {
    let dead = unique("members-dead");
    admin::create_topic(servers, &dead, 1).await;
    dead
}

/// The partitions that this member has.
fn partitions(broker: &KafkaBroker) -> Vec<i32> {
    broker.lag().iter().map(|lag| lag.partition).collect()
}

async fn ended(running: JoinHandle<Result<(), RunError>>) -> String {
    let ended = timeout(PATIENCE, running).await.expect("it ends in time");
    ended.expect("it does not panic").expect_err("it ends by itself").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_members_with_one_static_name_one_ends_with_words() {
    let (servers, topic) = fresh_topic("twins", 2).await;
    let group = unique("group");
    let dead = dead_letters(&servers).await;
    let names = (topic.as_str(), dead.as_str());
    let twin = || classic(&servers).static_member("twin");
    let (first_broker, second_broker) = (twin(), twin());
    let (_, first) = start(&first_broker, names, &group);
    until_is(2, async || partitions(&first_broker).len()).await;
    let (shutdown, second) = start(&second_broker, names, &group);
    let words = ended(first).await;
    assert!(words.contains("static_member"), "{words}");
    until_is(2, async || partitions(&second_broker).len()).await;
    shutdown.trigger();
    second.await.expect("it does not panic").expect("the other goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eager_member_in_a_cooperative_group_ends_with_words() {
    let (servers, topic) = fresh_topic("protocols", 2).await;
    let group = unique("group");
    let dead = dead_letters(&servers).await;
    let names = (topic.as_str(), dead.as_str());
    let cooperative = classic(&servers);
    let (shutdown, first) = start(&cooperative, names, &group);
    until_is(2, async || partitions(&cooperative).len()).await;
    let eager = classic(&servers).group_protocol(GroupProtocol::Eager);
    let (_, second) = start(&eager, names, &group);
    let words = ended(second).await;
    assert!(words.contains("group_protocol"), "{words}");
    shutdown.trigger();
    first.await.expect("it does not panic").expect("the other goes on");
}

/// A group that waits for a member that hangs lets nobody in until it is missed. That is no outage.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_while_the_group_waits_for_another_gets_in_later() {
    let (servers, topic) = fresh_topic("busy-group", 1).await;
    let group = unique("group");
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", &servers).set("group.id", &group);
    settings.set("session.timeout.ms", "20000").set("max.poll.interval.ms", "20000");
    settings.set("partition.assignment.strategy", "cooperative-sticky");
    let hangs: BaseConsumer = settings.create().expect("a client");
    hangs.subscribe(&[&topic]).expect("it subscribes");
    until("it to have the partition", async || {
        tokio::task::block_in_place(|| hangs.poll(Duration::from_millis(100)));
        hangs.assignment().is_ok_and(|assigned| assigned.count() == 1)
    })
    .await;
    let broker = classic(&servers);
    let subscription = Subscription::new(&topic, &group);
    let subscribed = timeout(PATIENCE, broker.subscribe(&subscription)).await.expect("in time");
    let source = subscribed.expect("the coordinator is there");
    until_is(1, async || partitions(&broker).len()).await;
    source.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_restarts_moves_no_partition() {
    let (servers, topic) = fresh_topic("static", 4).await;
    let group = unique("group");
    let member = |name: &str| {
        let broker = quick(&servers).set("heartbeat.interval.ms", "200");
        broker.set("session.timeout.ms", "20000").static_member(name)
    };
    let (here, there) = (member("here"), member("there"));
    let first = Session::open(&here, &topic, &group).await;
    let mut other = Session::open(&there, &topic, &group).await;
    until("two partitions for each", async || {
        partitions(&here).len() == 2 && partitions(&there).len() == 2
    })
    .await;
    let (had, others) = (partitions(&here), partitions(&there));
    publish_to_each(&servers, &topic, 4).await;
    let held = other.next().await;

    first.close().await;
    let again = Session::open(&here, &topic, &group).await;
    until_is(had, async || partitions(&here)).await;
    assert_eq!(partitions(&there), others);
    assert_eq!(held.cancellation().reason(), None);
    other.ack(held).await;
    again.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_moved_away_and_came_back_knows_no_receipt_of_before() {
    let (servers, topic) = fresh_topic("came-back", 2).await;
    let group = unique("group");
    let (here, there) = (classic(&servers), classic(&servers));
    let mut session = Session::open(&here, &topic, &group).await;
    publish_to_each(&servers, &topic, 2).await;
    let held = [session.next().await, session.next().await];

    let other = Session::open(&there, &topic, &group).await;
    until_is(1, async || partitions(&there).len()).await;
    other.close().await;
    until_is(2, async || partitions(&here).len()).await;

    let mut stale = 0;
    for delivery in held {
        let moved = delivery.cancellation().reason() == Some(Cancelled::Revoked);
        match session.try_ack(delivery).await {
            Err(SettleError::Stale) if moved => stale += 1,
            settled => settled.expect("it is ours"),
        }
    }
    assert_eq!(stale, 1, "one of two partitions moved");
    let again = session.next().await;
    let partition = place(&again).0;
    assert_eq!(admin::committed(&servers, &group, &topic).get(&partition).copied().unwrap_or(0), 0);
    session.ack(again).await;
    until_is(BTreeMap::from([(0, 1), (1, 1)]), async || admin::committed(&servers, &group, &topic))
        .await;
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_longer_than_the_poll_interval_loses_no_assignment() {
    const INTERVAL: Duration = Duration::from_secs(6);
    let (servers, topic) = fresh_topic("long", 4).await;
    let (group, dead) = (unique("group"), dead_letters(&servers).await);
    let runs = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let mut members = Vec::new();
    for _ in 0..2 {
        let interval = INTERVAL.as_millis().to_string();
        // Kafka wants a session to be no longer, the adapter two waits to be shorter.
        let broker = classic(&servers)
            .set("max.poll.interval.ms", &interval)
            .set("session.timeout.ms", &interval)
            .revoke_wait(Duration::from_secs(1));
        let runs = Arc::clone(&runs);
        let handler = handler_fn(move |text: String| {
            let runs = Arc::clone(&runs);
            async move {
                // Longer than the interval is what is tested.
                sleep(INTERVAL + Duration::from_secs(2)).await;
                *runs.lock().expect("it only counts").entry(text).or_default() += 1;
                Ok::<_, HandlerError>(())
            }
        });
        let consumer = Consumer::builder("long", handler)
            .source(&topic)
            .group(&group)
            .dead_letter(&dead)
            .build(broker.clone())
            .expect("a sound policy");
        let shutdown = Shutdown::new();
        members.push((broker, shutdown.clone(), tokio::spawn(consumer.run(shutdown))));
    }
    until("two partitions for each", async || {
        members.iter().all(|(broker, ..)| partitions(broker).len() == 2)
    })
    .await;
    publish_to_each(&servers, &topic, 4).await;
    until_is(4, async || runs.lock().expect("it only counts").len()).await;
    until_is(4, async || admin::committed(&servers, &group, &topic).len()).await;
    for (_, shutdown, running) in members {
        shutdown.trigger();
        running.await.expect("it does not panic").expect("it ends well");
    }
    let runs = runs.lock().expect("it only counts");
    assert!(runs.values().all(|runs| *runs == 1), "{runs:?}");
}

/// One JSON text into each partition.
async fn publish_to_each(servers: &str, topic: &str, partitions: u32) {
    let into = |message: &Message, _| {
        let text = String::from_utf8_lossy(message.payload.as_deref().unwrap_or_default());
        text.trim_matches('"').parse().expect("a partition")
    };
    let broker = quick(servers).partitioner(Partitioner::Explicit(Arc::new(into)));
    let publisher = broker.publisher().await.expect("a publisher");
    for partition in 0..partitions {
        let message = Message::new(format!("\"{partition}\""));
        publisher.publish(topic, &message).await.expect("it is published");
    }
}
