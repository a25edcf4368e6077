//! What others have published survives a retry and a dead letter, on the wire.

use std::time::Duration;

use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldArray, FieldTable, LongString},
};
use steadfast::{
    Delivery, Headers,
    broker::{Broker, Demand, Settle, Settlement, Source, Subscription},
};
use steadfast_rabbitmq::{CONTENT_TYPE, EXPIRATION, Queue, RabbitMq};
use steadfast_test_servers::{rabbitmq_url, rabbitmq4_url};

const TIER: Duration = Duration::from_millis(300);

fn table(fields: Vec<(&str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert(name.into(), value);
    }
    table
}

/// What the producer gives, the headers on which a broker acts apart.
fn harmless() -> Vec<(&'static str, AMQPValue)> {
    let nested = table(vec![("deep", AMQPValue::LongLongInt(-5))]);
    vec![
        ("flag", AMQPValue::Boolean(true)),
        ("nested", AMQPValue::FieldTable(nested)),
        ("number", AMQPValue::LongInt(42)),
        ("text", AMQPValue::LongString(LongString::from("größer"))),
        ("time", AMQPValue::Timestamp(1_700_000_000)),
    ]
}

async fn next(source: &dyn Source) -> Delivery {
    const PATIENCE: Duration = Duration::from_secs(60);
    loop {
        let receiving = tokio::time::timeout(PATIENCE, source.receive(Demand::new(1, 1))).await;
        let received = receiving.expect("a delivery in time").expect("the server is there");
        if let Some(delivery) = received.into_iter().next() {
            return delivery;
        }
    }
}

fn producers(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    let ours = |name: &str| name.starts_with("steadfast-retry-");
    let headers = headers.iter().filter(|(name, _)| !ours(name));
    let mut found: Vec<_> = headers.map(|(name, v)| (name.to_owned(), v.to_vec())).collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_message_survives_a_retry_and_a_dead_letter() {
    for url in [rabbitmq_url(), rabbitmq4_url()] {
        let name = format!("wire.{}", uuid::Uuid::new_v4().simple());
        let (dead, copied) = (format!("{name}.dead"), format!("{name}.copied"));
        let broker = [&name, &dead, &copied]
            .into_iter()
            .fold(RabbitMq::new(&url).expect("a URL"), |broker, queue| {
                broker.declare(Queue::quorum(queue))
            })
            .waits([TIER])
            .expect("the server keeps it");
        let source = broker.subscribe(&Subscription::new(&name, "wire")).await.expect("a session");

        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&url, properties).await.expect("a server");
        let channel = connection.create_channel().await.expect("a channel");
        let mut headers = harmless();
        let carbon = AMQPValue::LongString(LongString::from(copied.as_str()));
        headers.push(("CC", AMQPValue::FieldArray(FieldArray::from(vec![carbon]))));
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_correlation_id("c-1".into())
            .with_expiration("600000".into())
            .with_message_id("m-1".into())
            .with_user_id("guest".into())
            .with_headers(table(headers));
        let options = BasicPublishOptions::default();
        let publishing =
            channel.basic_publish("".into(), name.as_str().into(), options, b"\xff\0", properties);
        publishing.await.expect("it can be published");

        let first = next(&*source).await;
        assert_eq!(first.message.headers.text(CONTENT_TYPE), Some("application/json"));
        assert_eq!(first.message.headers.text(EXPIRATION), Some("600000"));
        assert_eq!(first.message.headers.text("number"), Some("42"));
        assert_eq!(first.origin.message_id.as_deref(), Some("m-1"));
        let before = first.message.clone();
        let requeue = Settlement::Requeue { delay: TIER, counted: true };
        let answers = source.settle(&[Settle::new(first, requeue)]).await;
        answers.into_iter().next().expect("an answer").expect("the copy waits");

        let second = next(&*source).await;
        assert_eq!(second.message.payload, before.payload);
        assert_eq!(producers(&second.message.headers), producers(&before.headers));
        let publisher = broker.publisher().await.expect("the server is there");
        publisher.publish(&dead, &second.message).await.expect("it is confirmed");
        let answers = source.settle(&[Settle::new(second, Settlement::Ack)]).await;
        answers.into_iter().next().expect("an answer").expect("it is ours");

        let letter = channel.basic_get(dead.as_str().into(), BasicGetOptions::default()).await;
        let letter = letter.expect("the queue is there").expect("the letter is there").delivery;
        assert_eq!(letter.data, b"\xff\0");
        let found = letter.properties.headers().clone().expect("headers");
        for (name, value) in harmless() {
            assert_eq!(found.inner().get(name), Some(&value), "{name} with its type");
        }
        assert!(!found.contains_key("CC") && letter.properties.expiration().is_none());
        assert_eq!(letter.properties.content_type(), &Some("application/json".into()));
        assert_eq!(letter.properties.correlation_id(), &Some("c-1".into()));
        assert_eq!(letter.properties.delivery_mode(), &Some(2));
        // The carbon copy was made once, when the producer published, and never by us.
        for copies in [1, 0] {
            let got = channel.basic_get(copied.as_str().into(), BasicGetOptions::default()).await;
            assert_eq!(got.expect("the queue is there").iter().count(), copies);
        }

        source.close().await;
        for queue in [copied, dead, format!("{name}.steadfast.wait.300ms"), name] {
            let deleting = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
            deleting.await.expect("the queue is there");
        }
    }
}
