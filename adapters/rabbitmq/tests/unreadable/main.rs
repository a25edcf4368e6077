//! Messages that the client cannot read.

mod raw;

use std::time::Duration;

use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicPublishOptions, QueuePurgeOptions},
    types::{AMQPValue, FieldTable, LongString},
};
use steadfast::{
    Consumer, HandlerError, Message, RunError, Shutdown,
    broker::{Broker, BrokerError, Demand, Settle, Settlement, Subscription},
    handler_fn,
};
use steadfast_rabbitmq::{Queue, RabbitMq};
use steadfast_test_servers::{Management, Service};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(120);
const GENERATIONS: [Service; 2] = [Service::RabbitMq, Service::RabbitMq4];

/// A queue of one test, on one of the servers.
struct Setting {
    service: Service,
    url: String,
    name: String,
    broker: RabbitMq,
}

impl Setting {
    fn on(service: Service, query: &str) -> Self {
        let url = service.url().expect("a server");
        let name = format!("unreadable.{}", uuid::Uuid::new_v4().simple());
        let broker = RabbitMq::new(&format!("{url}{query}")).expect("a URL");
        let broker = broker.declare(Queue::quorum(&name)).waits([]).expect("none");
        Self { service, url, name, broker }
    }

    async fn publish_unreadable(&self) {
        self.broker.publisher().await.expect("the queue can be declared");
        let publishing = raw::publish_unreadable(&self.url, &self.name);
        timeout(PATIENCE, publishing).await.expect("it is confirmed in time");
    }

    /// How a session ends that can receive nothing.
    async fn ended(&self) -> BrokerError {
        let subscription = Subscription::new(&self.name, "unreadable");
        let source = self.broker.subscribe(&subscription).await.expect("a session");
        let receiving = async {
            loop {
                match source.receive(Demand::new(1, 1)).await {
                    Ok(found) => assert!(found.is_empty(), "there is nothing else"),
                    Err(error) => return error,
                }
            }
        };
        let error = timeout(PATIENCE, receiving).await.expect("an end in time");
        source.close().await;
        error
    }

    /// Another client takes it out, when the server has taken it back.
    async fn purge(&self) {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&self.url, properties).await.expect("a server");
        let channel = connection.create_channel().await.expect("a channel");
        let purging = async {
            loop {
                let (name, options) = (self.name.as_str().into(), QueuePurgeOptions::default());
                if channel.queue_purge(name, options).await.expect("the queue is there") > 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, purging).await.expect("it is taken back in time");
    }

    async fn ack_one(&self) {
        let subscription = Subscription::new(&self.name, "unreadable");
        let source = self.broker.subscribe(&subscription).await.expect("a session");
        let mut found = Vec::new();
        while found.is_empty() {
            let receiving = timeout(PATIENCE, source.receive(Demand::new(1, 1))).await;
            found = receiving.expect("a delivery in time").expect("the session lives");
        }
        let acks: Vec<_> =
            found.into_iter().map(|found| Settle::new(found, Settlement::Ack)).collect();
        let answers = source.settle(&acks).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        source.close().await;
    }

    async fn delete(self) {
        let management = Management::of(self.service);
        management.delete_queue(&self.name).await.expect("the queue is there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_given_up_when_it_does_not_move_and_begins_anew_when_it_does() {
    for service in GENERATIONS {
        let setting = Setting::on(service, "");
        let passing = async || {
            setting.publish_unreadable().await;
            for session in 1..=4 {
                let error = setting.ended().await;
                assert!(matches!(error, BrokerError::Unavailable(_)), "session {session}: {error}");
            }
        };
        passing().await;
        setting.purge().await;
        let publisher = setting.broker.publisher().await.expect("the server is there");
        publisher.publish(&setting.name, &Message::new("m")).await.expect("it is confirmed");
        setting.ack_one().await;
        passing().await;
        match setting.ended().await {
            BrokerError::Misconfigured(words) => {
                for part in [&*setting.name, "not UTF-8", "another client"] {
                    assert!(words.contains(part), "{part}: {words}");
                }
            }
            other => panic!("the queue should be given up: {other:?}"),
        }
        setting.delete().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_ends_with_the_name_of_the_queue_and_the_cause() {
    let setting = Setting::on(Service::RabbitMq, "");
    setting.publish_unreadable().await;
    let dead = format!("{}.dead", setting.name);
    let handler = handler_fn(|_: String| async { Ok::<_, HandlerError>(()) });
    let consumer = Consumer::builder("unreadable", handler)
        .source(&setting.name)
        .group("unreadable")
        .dead_letter(&dead)
        .build(setting.broker.clone().declare(Queue::classic(&dead)))
        .expect("the policy is sound");
    let running = timeout(PATIENCE, consumer.run(Shutdown::new())).await.expect("an end in time");
    match running {
        Err(RunError::Broker(BrokerError::Misconfigured(words))) => {
            assert!(words.contains(&setting.name) && words.contains("not UTF-8"), "{words}");
        }
        other => panic!("it should end for good: {other:?}"),
    }
    Management::of(Service::RabbitMq).delete_queue(&dead).await.expect("the queue is there");
    setting.delete().await;
}

/// The server sends headers in one frame, however large its client wants frames to be.
#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_larger_than_a_frame_are_told_from_what_is_not_utf8() {
    for service in GENERATIONS {
        let setting = Setting::on(service, "?frame_max=16384");
        setting.broker.publisher().await.expect("the queue can be declared");
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&setting.url, properties).await.expect("a server");
        let channel = connection.create_channel().await.expect("a channel");
        let mut headers = FieldTable::default();
        headers.insert("large".into(), AMQPValue::LongString(LongString::from("x".repeat(20_000))));
        let publishing = channel.basic_publish(
            "".into(),
            setting.name.as_str().into(),
            BasicPublishOptions::default(),
            b"x",
            BasicProperties::default().with_headers(headers),
        );
        publishing.await.expect("it can be published");
        let given_up = async {
            loop {
                match setting.ended().await {
                    BrokerError::Misconfigured(words) => break words,
                    error => assert!(matches!(error, BrokerError::Unavailable(_)), "{error}"),
                }
            }
        };
        let words = timeout(PATIENCE, given_up).await.expect("it is given up in time");
        assert!(words.contains("frame_max") && words.contains(&setting.name), "{words}");
        setting.delete().await;
    }
}
