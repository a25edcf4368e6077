//! The prefetch changes while a session holds messages.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use steadfast::{
    Delivery, Message,
    broker::{Broker, Demand, Publish, Settle, Settlement, Source, Subscription},
};
use steadfast_rabbitmq::{Queue, RabbitMq};
use steadfast_test_servers::{Management, Service};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);
const MESSAGES: usize = 400;

/// Small messages, of which at first only two are sent ahead: the prefetch doubles until it is 100.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_while_the_prefetch_changes_is_delivered_once() {
    // Where only one consumer of a queue is active, a second one would be sent nothing.
    let alone =
        [false, true].map(|alone| [Service::RabbitMq, Service::RabbitMq4].map(|s| (s, alone)));
    for (service, alone) in alone.into_iter().flatten() {
        let url = service.url().expect("a server");
        let name = format!("prefetch.{}", uuid::Uuid::new_v4().simple());
        let queue = Queue::quorum(&name);
        let queue = if alone { queue.single_active_consumer() } else { queue };
        let broker = RabbitMq::new(&url).expect("a URL").declare(queue);
        let broker = broker.waits([]).expect("none");
        let publisher = broker.publisher().await.expect("the server is there");
        let texts: Vec<Message> = (0..MESSAGES).map(|n| Message::new(n.to_string())).collect();
        publish(&*publisher, &name, &texts).await;

        let subscription = Subscription::new(&name, "prefetch").max_messages(100);
        let source = broker.subscribe(&subscription.max_bytes(256 << 10)).await;
        let source = source.expect("a session");
        let mut times: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let mut held = Vec::new();
        while times.len() < MESSAGES {
            let receiving = timeout(PATIENCE, source.receive(Demand::new(8, usize::MAX))).await;
            for delivery in receiving.expect("deliveries in time").expect("the session lives") {
                let payload = delivery.message.payload.clone().unwrap_or_default().to_vec();
                *times.entry(payload).or_default() += 1;
                // One in forty is held until the end, so that some are held through every change.
                if times.len() % 40 == 1 {
                    held.push(delivery)
                } else {
                    ack(&*source, [delivery]).await
                }
            }
        }
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "delivered more than once: {twice:?}");

        // It has grown as far as it may, beside what was held meanwhile. A consumer that took another's
        // place waits until what that has left is settled.
        if alone {
            ack(&*source, std::mem::take(&mut held)).await;
        }
        publish(&*publisher, &name, &texts[..100]).await;
        fill(&*source, &mut held, 100).await;
        assert_eq!(held.len(), 100);
        assert_eq!(source.backlog().await.expect("it tells"), Some(0), "no more may be sent");
        ack(&*source, held).await;
        source.close().await;
        Management::of(service).delete_queue(&name).await.expect("the queue is there");
    }
}

/// As many as fit into memory come in one go, and none of them gets lost on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_prefetch_arrives_whole() {
    const MANY: usize = 1000;
    let url = Service::RabbitMq.url().expect("a server");
    let name = format!("prefetch.{}", uuid::Uuid::new_v4().simple());
    let broker = RabbitMq::new(&url).expect("a URL").declare(Queue::classic(&name));
    let broker = broker.waits([]).expect("none");
    let publisher = broker.publisher().await.expect("the server is there");
    let texts: Vec<Message> = (0..MANY).map(|n| Message::new(n.to_string())).collect();
    publish(&*publisher, &name, &texts).await;
    let subscription = Subscription::new(&name, "prefetch").max_messages(MANY);
    let source = broker.subscribe(&subscription.max_bytes(1 << 30)).await.expect("a session");
    let mut held = Vec::new();
    fill(&*source, &mut held, MANY).await;
    ack(&*source, held).await;
    source.close().await;
    let management = Management::of(Service::RabbitMq);
    management.delete_queue(&name).await.expect("the queue is there");
}

/// What a cancelled consumer has left takes the room of the next one, until it is settled.
#[tokio::test(flavor = "multi_thread")]
async fn room_that_is_free_again_is_used_although_nothing_arrives() {
    const MESSAGES: usize = 20;
    for service in [Service::RabbitMq, Service::RabbitMq4] {
        let url = service.url().expect("a server");
        let name = format!("prefetch.{}", uuid::Uuid::new_v4().simple());
        let broker = RabbitMq::new(&url).expect("a URL").declare(Queue::quorum(&name));
        let broker = broker.waits([]).expect("none");
        let publisher = broker.publisher().await.expect("the server is there");
        for number in 0..MESSAGES {
            let bytes = if number == 0 { 250 << 10 } else { 10 };
            let message = Message::new(vec![b'x'; bytes]);
            publisher.publish(&name, &message).await.expect("it is confirmed");
        }
        let subscription = Subscription::new(&name, "prefetch").max_messages(8).max_bytes(1 << 20);
        let source = broker.subscribe(&subscription).await.expect("a session");
        let mut held = Vec::new();
        let full = async {
            while held.is_empty() || source.backlog().await.expect("it tells") != Some(0) {
                held.extend(source.receive(Demand::new(1, usize::MAX)).await.expect("it lives"));
            }
        };
        timeout(PATIENCE, full).await.expect("it is full in time");
        // The latest came by the consumer that is left.
        let (latest, mut arrived) = (held.pop().expect("at least one"), held.len() + 1);
        ack(&*source, held).await;
        while arrived < MESSAGES {
            let receiving = timeout(PATIENCE, source.receive(Demand::new(8, usize::MAX))).await;
            let found = receiving.expect("deliveries in time").expect("the session lives");
            arrived += found.len();
            ack(&*source, found).await;
        }
        ack(&*source, [latest]).await;
        source.close().await;
        Management::of(service).delete_queue(&name).await.expect("the queue is there");
    }
}

/// A large message leaves room for nothing else while it is held, and yet the session is not deaf.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_full_notices_that_it_is_lost() {
    const BYTES: usize = 1 << 20;
    for service in [Service::RabbitMq, Service::RabbitMq4] {
        let url = service.url().expect("a server");
        let name = format!("prefetch.{}", uuid::Uuid::new_v4().simple());
        let broker = RabbitMq::new(&url).expect("a URL").declare(Queue::quorum(&name));
        let broker = broker.waits([]).expect("none");
        let publisher = broker.publisher().await.expect("the server is there");
        for bytes in [BYTES - 1000, 10, 10, 10, 10, 10, 10, 10, 10, 10] {
            let message = Message::new(vec![b'x'; bytes]);
            publisher.publish(&name, &message).await.expect("it is confirmed");
        }
        let subscription = Subscription::new(&name, "prefetch").max_messages(8).max_bytes(BYTES);
        let source = broker.subscribe(&subscription).await.expect("a session");
        let receiving = timeout(PATIENCE, source.receive(Demand::new(1, usize::MAX))).await;
        let large = receiving.expect("a delivery in time").expect("the session lives");
        assert_eq!(large.len(), 1);
        // Whatever was under way when the prefetch changed, and one more: none of it is settled.
        let full = async {
            while source.backlog().await.expect("the server is there") != Some(0) {
                source.receive(Demand::new(8, usize::MAX)).await.expect("the session lives");
            }
        };
        timeout(PATIENCE, full).await.expect("it is full in time");
        Management::of(service).delete_queue(&name).await.expect("the queue is there");
        timeout(PATIENCE, source.lost()).await.expect("it notices");
        source.close().await;
    }
}

/// A few at a time: each has a deadline from when it begins.
async fn publish(publisher: &dyn Publish, queue: &str, messages: &[Message]) {
    let publishing = stream::iter(messages).map(|message| publisher.publish(queue, message));
    let published = publishing.buffer_unordered(32).try_collect::<()>().await;
    published.expect("they are confirmed");
}

async fn ack(source: &dyn Source, deliveries: impl IntoIterator<Item = steadfast::Delivery>) {
    let acks: Vec<_> =
        deliveries.into_iter().map(|delivery| Settle::new(delivery, Settlement::Ack)).collect();
    let answers = source.settle(&acks).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// A session that holds as much as it may has no backlog, however much waits behind it.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_may_not_send_is_no_backlog() {
    let url = Service::RabbitMq.url().expect("a server");
    let name = format!("prefetch.{}", uuid::Uuid::new_v4().simple());
    let broker = RabbitMq::new(&url).expect("a URL").declare(Queue::classic(&name));
    let broker = broker.waits([]).expect("none");
    let publisher = broker.publisher().await.expect("the server is there");
    for text in ["a", "b", "c", "d"] {
        publisher.publish(&name, &Message::new(text)).await.expect("it is confirmed");
    }
    let source = broker.subscribe(&Subscription::new(&name, "prefetch").max_messages(2)).await;
    let source = source.expect("a session");
    let mut held = Vec::new();
    fill(&*source, &mut held, 2).await;
    assert_eq!(source.backlog().await.expect("the server is there"), Some(0));
    // A second session holds nothing: there is work for it.
    let other = broker.subscribe(&Subscription::new(&name, "other").max_messages(1)).await;
    let other = other.expect("a session");
    let counting = async {
        while other.backlog().await.expect("the server is there") != Some(1) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, counting).await.expect("one is sent to it, and no more");
    other.close().await;
    ack(&*source, held).await;
    source.close().await;
    let management = Management::of(Service::RabbitMq);
    management.delete_queue(&name).await.expect("the queue is there");
}

/// Whoever settles nothing while he looks through a queue, as a redrive may, is sent as many as he asked for.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_unsettled_does_not_end_the_growth() {
    const MANY: usize = 1000;
    // Where only one consumer of a queue is active, each takes the place of the one before.
    for alone in [false, true] {
        let url = Service::RabbitMq.url().expect("a server");
        let name = format!("prefetch.{}", uuid::Uuid::new_v4().simple());
        let queue = Queue::quorum(&name);
        let queue = if alone { queue.single_active_consumer() } else { queue };
        let broker = RabbitMq::new(&url).expect("a URL").declare(queue);
        let broker = broker.waits([]).expect("none");
        let publisher = broker.publisher().await.expect("the server is there");
        let texts: Vec<Message> = (0..MANY).map(|n| Message::new(n.to_string())).collect();
        publish(&*publisher, &name, &texts).await;
        // At first 16 are sent ahead.
        let subscription = Subscription::new(&name, "prefetch").max_messages(MANY);
        let source = broker.subscribe(&subscription.max_bytes(2 << 20)).await.expect("a session");
        let mut held = Vec::new();
        fill(&*source, &mut held, MANY).await;
        assert_eq!(held.len(), MANY);
        ack(&*source, held).await;
        source.close().await;
        Management::of(Service::RabbitMq).delete_queue(&name).await.expect("the queue is there");
    }
}

/// Receives until so many are held.
async fn fill(source: &dyn Source, held: &mut Vec<Delivery>, count: usize) {
    while held.len() < count {
        let receiving = timeout(PATIENCE, source.receive(Demand::new(count, usize::MAX))).await;
        held.extend(receiving.expect("deliveries in time").expect("the session lives"));
    }
}
