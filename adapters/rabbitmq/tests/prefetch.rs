//! The prefetch changes while a session holds messages.

use std::{collections::BTreeMap, time::Duration};

use steadfast::{
    Message,
    broker::{Broker, Demand, Settle, Settlement, Source, Subscription},
};
use steadfast_rabbitmq::{Queue, RabbitMq};
use steadfast_test_servers::{Management, Service};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);
const MESSAGES: usize = 400;

/// Small messages, of which at first only two are sent ahead: the prefetch doubles until it is 100.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_while_the_prefetch_changes_is_delivered_once() {
    for service in [Service::RabbitMq, Service::RabbitMq4] {
        let url = service.url().expect("a server");
        let name = format!("prefetch.{}", uuid::Uuid::new_v4().simple());
        let broker = RabbitMq::new(&url).expect("a URL").declare(Queue::quorum(&name));
        let broker = broker.waits([]).expect("none");
        let publisher = broker.publisher().await.expect("the server is there");
        let texts: Vec<Message> = (0..MESSAGES).map(|n| Message::new(n.to_string())).collect();
        let publishing = texts.iter().map(|message| publisher.publish(&name, message));
        futures::future::try_join_all(publishing).await.expect("they are confirmed");

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
        ack(&*source, held).await;
        let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "delivered more than once: {twice:?}");
        assert_eq!(source.backlog().await.expect("the server is there"), Some(0));
        source.close().await;
        if let Some(management) = Management::of(service) {
            let path = format!("/api/queues/%2f/{name}");
            management.ask("DELETE", &path, "").await.expect("the queue is there");
        }
    }
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
    while held.len() < 2 {
        let receiving = timeout(PATIENCE, source.receive(Demand::new(2, usize::MAX))).await;
        held.extend(receiving.expect("deliveries in time").expect("the session lives"));
    }
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
    if let Some(management) = Management::of(Service::RabbitMq) {
        let path = format!("/api/queues/%2f/{name}");
        management.ask("DELETE", &path, "").await.expect("the queue is there");
    }
}
