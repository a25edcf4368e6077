//! What is refused at start, and what the refusal says.

use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable, LongString},
};
use steadfast::broker::{Broker, BrokerError, Subscription};
use steadfast_rabbitmq::{Queue, RabbitMq};
use steadfast_test_servers::{Management, Service, rabbitmq_url, rabbitmq4_url};

/// A queue of one test, declared as others would.
struct Foreign {
    name: String,
    channel: Channel,
    _connection: Connection,
}

impl Foreign {
    async fn declare(url: &str, arguments: &[(&str, AMQPValue)]) -> Self {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(url, properties).await.expect("a server");
        let channel = connection.create_channel().await.expect("a channel");
        let name = format!("start.{}", uuid::Uuid::new_v4().simple());
        let mut table = FieldTable::default();
        for (argument, value) in arguments {
            table.insert((*argument).into(), value.clone());
        }
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let declaring = channel.queue_declare(name.as_str().into(), options, table);
        declaring.await.expect("the queue can be declared");
        Self { name, channel, _connection: connection }
    }

    async fn delete(self) {
        let deleting = self.channel.queue_delete(self.name.into(), QueueDeleteOptions::default());
        deleting.await.expect("the queue is there");
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

/// The refusal's words.
async fn refused(broker: &RabbitMq, queue: &str) -> String {
    match broker.subscribe(&Subscription::new(queue, "billing")).await {
        Err(BrokerError::Misconfigured(words)) => words,
        Err(other) => panic!("it should be refused for good, and is {other:?}"),
        Ok(_) => panic!("it should be refused"),
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_not_repeated() {
    for url in [rabbitmq_url(), rabbitmq4_url()] {
        let url = url.replace("guest:guest", "guest:hunter2");
        let words = refused(&RabbitMq::new(&url).expect("a URL"), "orders").await;
        assert!(words.contains("password") && !words.contains("hunter2"), "{words}");
    }
}

#[tokio::test]
async fn a_missing_virtual_host_is_named() {
    for url in [rabbitmq_url(), rabbitmq4_url()] {
        let url = url.replace("%2f", "no-such-host");
        let words = refused(&RabbitMq::new(&url).expect("a URL"), "orders").await;
        assert!(words.contains("no-such-host") && words.contains("add_vhost"), "{words}");
    }
}

#[tokio::test]
async fn a_missing_queue_is_named_with_the_fix_and_not_created() {
    for url in [rabbitmq_url(), rabbitmq4_url()] {
        let broker = RabbitMq::new(&url).expect("a URL");
        for _ in 0..2 {
            let words = refused(&broker, "start.no-such-queue").await;
            assert!(words.contains("start.no-such-queue") && words.contains("declare"), "{words}");
        }
    }
}

#[tokio::test]
async fn a_stream_is_refused_with_the_reason() {
    for url in [rabbitmq_url(), rabbitmq4_url()] {
        let stream = Foreign::declare(&url, &[("x-queue-type", text("stream"))]).await;
        let words = refused(&RabbitMq::new(&url).expect("a URL"), &stream.name).await;
        assert!(words.contains("stream") && words.contains("give a message"), "{words}");
        stream.delete().await;
    }
}

#[tokio::test]
async fn a_queue_that_was_declared_otherwise_is_refused_with_the_difference() {
    let url = rabbitmq_url();
    let queue = Foreign::declare(&url, &[("x-queue-type", text("classic"))]).await;
    let broker = RabbitMq::new(&url).expect("a URL").declare(Queue::quorum(&queue.name));
    let words = refused(&broker, &queue.name).await;
    assert!(words.contains("x-queue-type") && words.contains("first declared"), "{words}");
    queue.delete().await;
}

/// The limit is read from a queue that others have declared, in both generations.
#[tokio::test]
async fn a_delivery_limit_that_would_drop_messages_is_refused() {
    for url in [rabbitmq_url(), rabbitmq4_url()] {
        let limit = ("x-delivery-limit", AMQPValue::LongLongInt(7));
        let arguments = [("x-queue-type", text("quorum")), limit];
        let queue = Foreign::declare(&url, &arguments).await;
        let broker = RabbitMq::new(&url).expect("a URL").waits([]).expect("none");
        let words = refused(&broker, &queue.name).await;
        assert!(words.contains("limit of 7") && words.contains("dead-letter exchange"), "{words}");
        let source = broker.policies_dead_letter();
        let source = source.subscribe(&Subscription::new(&queue.name, "billing")).await;
        let source = source.expect("a policy is promised");
        assert_eq!(source.capabilities().delivery_limit, Some(8), "7 returns are 8 deliveries");
        source.close().await;
        queue.delete().await;
    }
}

#[tokio::test]
async fn the_limit_that_every_quorum_queue_has_since_4_0_is_known() {
    let quorum = [("x-queue-type", text("quorum"))];
    let (old, new) = (rabbitmq_url(), rabbitmq4_url());
    let queue = Foreign::declare(&old, &quorum).await;
    let broker = RabbitMq::new(&old).expect("a URL").waits([]).expect("none");
    let source = broker.subscribe(&Subscription::new(&queue.name, "billing")).await;
    let source = source.expect("3.x has no limit by default");
    assert_eq!(source.capabilities().delivery_limit, None);
    source.close().await;
    queue.delete().await;

    let queue = Foreign::declare(&new, &quorum).await;
    let words = refused(&RabbitMq::new(&new).expect("a URL"), &queue.name).await;
    assert!(words.contains("limit of 20"), "{words}");
    queue.delete().await;
}

/// A user who may read and write everything and declare nothing.
struct Restricted {
    management: Management,
    name: String,
    url: String,
}

impl Restricted {
    async fn add(service: Service) -> Self {
        let management = Management::of(service);
        let name = format!("start-{}", uuid::Uuid::new_v4().simple());
        let put = async |path: String, body: &str| {
            let (status, said) = management.ask("PUT", &path, body).await.expect("it answers");
            assert!(status < 300, "{status}: {said}");
        };
        put(format!("/api/users/{name}"), r#"{"password":"p","tags":""}"#).await;
        let rights = r#"{"configure":"^$","write":".*","read":".*"}"#;
        put(format!("/api/permissions/%2f/{name}"), rights).await;
        let url = service.url().expect("a server");
        let url = url.replace("guest:guest", &format!("{name}:p"));
        Self { management, name, url }
    }

    fn broker(&self) -> RabbitMq {
        RabbitMq::new(&self.url).expect("a URL")
    }

    async fn delete(self) {
        let path = format!("/api/users/{}", self.name);
        self.management.ask("DELETE", &path, "").await.expect("it answers");
    }
}

const GENERATIONS: [Service; 2] = [Service::RabbitMq, Service::RabbitMq4];

#[tokio::test]
async fn a_user_who_may_declare_nothing_needs_the_waiting_queues_and_is_told_how() {
    for service in GENERATIONS {
        let user = Restricted::add(service).await;
        let url = service.url().expect("a server");
        let unlimited = ("x-delivery-limit", AMQPValue::LongLongInt(-1));
        let arguments = [("x-queue-type", text("quorum")), unlimited];
        let arguments = if service == Service::RabbitMq { &arguments[..1] } else { &arguments };
        let queue = Foreign::declare(&url, arguments).await;
        let waits = [std::time::Duration::from_secs(1)];
        let broker = user.broker().unlimited_deliveries().waits(waits).expect("it is kept");
        let words = refused(&broker, &queue.name).await;
        for part in [".steadfast.wait.1s", "x-message-ttl=1000", "at-least-once", "declare"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        // Another user declares them.
        let guest = RabbitMq::new(&url).expect("a URL").waits(waits).expect("it is kept");
        let subscription = Subscription::new(&queue.name, "billing");
        guest.subscribe(&subscription).await.expect("a session").close().await;
        let source = broker.subscribe(&subscription).await.expect("they are there now");
        let capabilities = source.capabilities();
        assert!(capabilities.delays_by_copy && !capabilities.counts_deliveries);
        source.close().await;
        let waiting = format!("{}.steadfast.wait.1s", queue.name);
        let deleting = queue.channel.queue_delete(waiting.into(), QueueDeleteOptions::default());
        deleting.await.expect("the server is there");
        queue.delete().await;
        user.delete().await;
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_seen_is_refused_where_the_server_may_drop_messages() {
    let user = Restricted::add(Service::RabbitMq4).await;
    let queue = Foreign::declare(&rabbitmq4_url(), &[("x-queue-type", text("quorum"))]).await;
    let broker = user.broker().waits([]).expect("none");
    let words = refused(&broker, &queue.name).await;
    assert!(words.contains("limit of 20") && words.contains("set_permissions"), "{words}");
    let source = broker.policies_dead_letter();
    let source = source.subscribe(&Subscription::new(&queue.name, "billing")).await;
    let source = source.expect("a policy is promised");
    assert_eq!(source.capabilities().delivery_limit, Some(21));
    source.close().await;
    queue.delete().await;
    user.delete().await;
}

#[tokio::test]
async fn a_stream_that_cannot_be_seen_shows_itself_by_its_offsets() {
    for service in GENERATIONS {
        let user = Restricted::add(service).await;
        let url = service.url().expect("a server");
        let stream = Foreign::declare(&url, &[("x-queue-type", text("stream"))]).await;
        let broker = user.broker().unlimited_deliveries().waits([]).expect("none");
        let subscription = Subscription::new(&stream.name, "billing");
        let source = broker.subscribe(&subscription).await.expect("nothing is to be seen yet");
        let publisher = broker.publisher().await.expect("the server is there");
        let message = steadfast::Message::new("m1");
        publisher.publish(&stream.name, &message).await.expect("it is confirmed");
        let words = loop {
            let receiving = source.receive(steadfast::broker::Demand::new(1, 1));
            let patience = std::time::Duration::from_secs(60);
            match tokio::time::timeout(patience, receiving).await.expect("an end in time") {
                Ok(found) => assert!(found.is_empty(), "a delivery that cannot be given back"),
                Err(BrokerError::Misconfigured(words)) => break words,
                Err(other) => panic!("it should end for good: {other:?}"),
            }
        };
        assert!(words.contains(&stream.name) && words.contains("stream"), "{words}");
        source.close().await;
        stream.delete().await;
        user.delete().await;
    }
}
