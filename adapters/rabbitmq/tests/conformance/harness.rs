//! The harness of a real server.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use lapin::{
    Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::{BasicGetOptions, QueueDeleteOptions},
    types::AMQPValue,
    uri::AMQPUri,
};
use steadfast::{
    Message,
    broker::{Broker, PublishError},
};
use steadfast_conformance::broker::BrokerHarness;
use steadfast_rabbitmq::{Queue, RabbitMq};
use steadfast_test_servers::{Management, Proxy, Service};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Which type of queue the suite gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Quorum,
    Classic,
}

/// Queues of one case, deleted at its end.
pub(crate) struct Harness {
    kind: Kind,
    /// Not through the proxy.
    direct: RabbitMq,
    /// Through the proxy.
    broker: RabbitMq,
    proxy: Proxy,
    connection: Connection,
    management: Management,
    queues: Mutex<BTreeMap<String, Queue>>,
}

impl Harness {
    pub(crate) async fn on(service: Service, kind: Kind) -> Self {
        let url = service.url().unwrap_or_else(|problem| panic!("{problem}"));
        let connecting = Connection::connect(&url, ConnectionProperties::default());
        let connection = connecting.await.expect("the server is there");
        let uri: AMQPUri = url.parse().expect("the URL is one");
        let target = format!("{}:{}", uri.authority.host, uri.authority.port);
        let proxy = Proxy::start(&target).await.expect("there is a free port");
        let proxied = url.replacen(&target, &proxy.address().to_string(), 1);
        assert_ne!(proxied, url, "the server's URL names its host and port");
        let (direct, broker) = (broker(&url), broker(&proxied));
        let management = Management::of(service);
        Self { kind, direct, broker, proxy, connection, management, queues: Mutex::default() }
    }

    async fn declare(&self, queue: &Queue) {
        let declaring = self.direct.clone().declare(queue.clone());
        declaring.publisher().await.expect("the queue can be declared");
    }

    async fn channel(&self) -> Channel {
        self.connection.create_channel().await.expect("the server is there")
    }
}

const WAITS: [u64; 4] = [1, 2, 4, 8];

fn broker(url: &str) -> RabbitMq {
    let waits = WAITS.map(Duration::from_secs);
    let broker = RabbitMq::new(url).expect("the URL is one").publishers_set_ids();
    // For 16 MiB through the proxy on a busy machine.
    let broker = broker.deadline(Duration::from_secs(15));
    broker.waits(waits).expect("the delays are ones that the server keeps")
}

#[async_trait]
impl BrokerHarness for Harness {
    fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(self.broker.clone())
    }

    async fn fresh_topic(&self, hint: &str, ordered: bool) -> String {
        let name = format!("conformance.{hint}.{}", uuid::Uuid::new_v4().simple());
        let queue = match self.kind {
            Kind::Quorum => Queue::quorum(&name),
            Kind::Classic => Queue::classic(&name),
        };
        let queue = if ordered { queue.single_active_consumer() } else { queue };
        self.declare(&queue).await;
        self.queues.lock().expect("nothing panics under it").insert(name.clone(), queue);
        name
    }

    async fn publish(&self, topic: &str, message: Message) -> Result<(), PublishError> {
        let publisher = self.direct.publisher().await.expect("the server is there");
        publisher.publish(topic, &message).await
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(40)
    }

    async fn read_all(&self, topic: &str) -> Option<Vec<Message>> {
        // The messages go back where they were when the channel closes.
        let channel = self.channel().await;
        let mut found = Vec::new();
        let next = || channel.basic_get(topic.into(), BasicGetOptions::default());
        while let Some(got) = next().await.expect("the queue is there") {
            found.push(converted(&got.delivery));
        }
        channel.close(200, "closed".into()).await.expect("the server is there");
        Some(found)
    }

    async fn unsettled(&self, topic: &str) -> Option<usize> {
        let path = format!("/api/queues/%2f/{topic}");
        let answer = self.management.ask("GET", &path, "").await;
        let (status, queue) = answer.expect("the management plug-in answers");
        assert_eq!(status, 200, "{queue}");
        let queue: serde_json::Value = serde_json::from_str(&queue).expect("it answers JSON");
        // A queue that is new has no counts yet.
        let now = queue["messages_unacknowledged"].as_u64().unwrap_or(0);
        Some(usize::try_from(now).expect("a small number"))
    }

    async fn missing_topic(&self) -> Option<String> {
        Some("conformance.no-such-queue".into())
    }

    async fn disconnect(&self) -> bool {
        // The youngest connection is told last: when it is cut, all are.
        let mut canary = TcpStream::connect(self.proxy.address()).await.expect("it listens");
        canary.write_all(b"AMQP\0\0\x09\x01").await.expect("it is not cut yet");
        let mut greeting = [0];
        canary.read_exact(&mut greeting).await.expect("the server greets");
        self.proxy.cut();
        while canary.read(&mut [0; 512]).await.is_ok_and(|bytes| bytes > 0) {}
        true
    }

    async fn take_down(&self, down: bool) -> bool {
        if down {
            self.proxy.refuse();
        } else {
            self.proxy.pass();
        }
        true
    }

    /// The queue is deleted, and declared again.
    async fn refuse_publishes(&self, topic: &str, refuse: bool) -> bool {
        let queue = self.queues.lock().expect("nothing panics under it").get(topic).cloned();
        let Some(queue) = queue else { return false };
        if refuse {
            let channel = self.channel().await;
            let deleting = channel.queue_delete(topic.into(), QueueDeleteOptions::default());
            deleting.await.expect("the queue is there");
        } else {
            self.declare(&queue).await;
        }
        true
    }
}

/// What lies on the wire, read without this adapter's conversion.
fn converted(delivery: &Delivery) -> Message {
    let table = delivery.properties.headers().clone().unwrap_or_default();
    let bytes = |value: &AMQPValue| value.as_long_string().map(|text| text.as_bytes().to_vec());
    let mut message = Message::new(delivery.data.clone());
    let mut named: Vec<String> = table.inner().keys().map(ToString::to_string).collect();
    if let Some(order) = table.inner().get("steadfast-amqp-order") {
        let names = order.as_array().expect("a list of names").as_slice().iter();
        let text = |name| String::from_utf8(bytes(name).expect("a name")).expect("a name");
        named = names.map(text).collect();
    }
    let mut repeated: HashMap<String, usize> = HashMap::new();
    // The server's count and our key are no headers.
    named.retain(|name| !["steadfast-key", "x-delivery-count"].contains(&name.as_str()));
    for name in &named {
        let time = repeated.entry(name.clone()).or_default();
        match &table.inner()[name.as_str()] {
            AMQPValue::FieldArray(values) => {
                message.headers.append(name, bytes(&values.as_slice()[*time]).expect("a string"));
            }
            value => message.headers.append(name, bytes(value).expect("a string")),
        }
        *time += 1;
    }
    message.key = table.inner().get("steadfast-key").and_then(bytes).map(Into::into);
    message
}

impl Drop for Harness {
    /// Queues of a case that has failed stay, to be looked at.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let queues = std::mem::take(&mut *self.queues.lock().expect("nothing panics under it"));
        let connection = &self.connection;
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let channel = connection.create_channel().await.expect("the server is there");
                for queue in queues.into_keys() {
                    let waiting = WAITS.map(|tier| format!("{queue}.steadfast.wait.{tier}s"));
                    for name in waiting.into_iter().chain([queue]) {
                        let deleting =
                            channel.queue_delete(name.into(), QueueDeleteOptions::default());
                        deleting.await.expect("a queue that is not there is deleted too");
                    }
                }
            });
        });
    }
}
