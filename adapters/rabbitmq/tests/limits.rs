//! What counts towards a queue's delivery limit, in both generations, and what does not reach it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{
    Consumer, DedupKey, Delivery, HandlerError, Message, Middleware, Outcome, Process, Retry,
    Shutdown,
    broker::{Broker, Demand, Settle, Settlement, Source, Subscription},
    handler_fn,
    store::MemoryStore,
};
use steadfast_rabbitmq::{Queue, RabbitMq};
use steadfast_test_servers::{rabbitmq_url, rabbitmq4_url};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A queue with a limit, and the one into which the server puts what has reached it.
struct Limited {
    name: String,
    dead: String,
    broker: RabbitMq,
    url: String,
}

impl Limited {
    fn new(url: String, limit: u32) -> Self {
        let name = format!("limits.{}", uuid::Uuid::new_v4().simple());
        let dead = format!("{name}.dead");
        let broker = RabbitMq::new(&url)
            .expect("a URL")
            .declare(Queue::quorum(&dead))
            .declare(Queue::quorum(&name).delivery_limit(limit, &dead));
        Self { name, dead, broker, url }
    }

    async fn publish(&self, text: &str) {
        let publisher = self.broker.publisher().await.expect("the server is there");
        publisher.publish(&self.name, &Message::new(text.to_owned())).await.expect("confirmed");
    }

    async fn delete(self, waits: &[&str]) {
        let properties = lapin::ConnectionProperties::default();
        let connection = lapin::Connection::connect(&self.url, properties).await.expect("a server");
        let channel = connection.create_channel().await.expect("a channel");
        let waiting = waits.iter().map(|wait| format!("{}.steadfast.wait.{wait}", self.name));
        for queue in waiting.chain([self.name.clone(), self.dead]) {
            let options = lapin::options::QueueDeleteOptions::default();
            channel.queue_delete(queue.into(), options).await.expect("the server is there");
        }
    }
}

/// How a message goes back.
#[derive(Debug, Clone, Copy)]
enum Back {
    /// `basic.nack`
    Release,
    /// `basic.reject`
    Requeue,
    /// The channel is closed.
    Close,
}

async fn next(source: &dyn Source) -> Delivery {
    loop {
        let receiving = timeout(PATIENCE, source.receive(Demand::new(1, 1))).await;
        let received = receiving.expect("a delivery in time").expect("the session lives");
        if let Some(delivery) = received.into_iter().next() {
            return delivery;
        }
    }
}

/// On 3.10 and 4.0 alike; 4.3 counts a nack no more, which makes fewer deliveries count, not more.
#[tokio::test(flavor = "multi_thread")]
async fn every_way_back_counts_and_the_limit_is_what_is_claimed() {
    const LIMIT: u32 = 4;
    for url in [rabbitmq_url(), rabbitmq4_url()] {
        for back in [Back::Release, Back::Requeue, Back::Close] {
            let limited = Limited::new(url.clone(), LIMIT);
            let broker = limited.broker.clone().waits([]).expect("none");
            let subscription = Subscription::new(&limited.name, "limits").max_messages(1);
            let subscribe = async || broker.subscribe(&subscription).await.expect("a session");
            let mut source = subscribe().await;
            let claimed = source.capabilities().delivery_limit.expect("the limit is seen");
            let dead = broker.subscribe(&Subscription::new(&limited.dead, "limits")).await;
            let dead = dead.expect("a session");
            limited.publish("m1").await;
            let mut counted = Vec::new();
            loop {
                let delivery = tokio::select! {
                    delivery = next(&*source) => delivery,
                    letter = next(&*dead) => {
                        dead.settle(&[Settle::new(letter, Settlement::Ack)]).await;
                        break;
                    }
                };
                counted.push(delivery.broker_deliveries.expect("a quorum queue counts"));
                let settlement = match back {
                    Back::Release => Settlement::Release,
                    Back::Requeue => Settlement::Requeue { delay: Duration::ZERO, counted: true },
                    Back::Close => {
                        source.close().await;
                        source = subscribe().await;
                        continue;
                    }
                };
                let answers = source.settle(&[Settle::new(delivery, settlement)]).await;
                assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            }
            assert_eq!(counted, (1..=claimed).collect::<Vec<_>>(), "{back:?} on {url}");
            source.close().await;
            dead.close().await;
            limited.delete(&[]).await;
        }
    }
}

/// What a consumer was delivered of one text, and what became of it.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u32>>>, Arc<watch::Sender<usize>>);

impl Middleware for Seen {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let deliveries = delivery.broker_deliveries.unwrap_or_default();
        self.0.lock().expect("nothing panics under it").push(deliveries);
        let outcome = next.run(delivery).await;
        if matches!(outcome, Outcome::Done | Outcome::Duplicate(_)) {
            self.1.send_modify(|ended| *ended += 1);
        }
        outcome
    }
}

impl Seen {
    fn deliveries(&self) -> Vec<u32> {
        self.0.lock().expect("nothing panics under it").clone()
    }
}

/// The record is held for long by the first; one of the others may wait in place, three must go.
#[tokio::test(flavor = "multi_thread")]
async fn busy_duplicates_neither_hot_loop_nor_use_up_the_limit() {
    for url in [rabbitmq_url(), rabbitmq4_url()] {
        let limited = Limited::new(url, 8);
        let broker = limited.broker.clone();
        let broker = broker.waits([1, 2, 5].map(Duration::from_secs)).expect("the server keeps it");
        let (open, gate) = watch::channel(false);
        let (runs, seen) = (Arc::new(Mutex::new(0)), Seen::default());
        let handler = {
            let runs = Arc::clone(&runs);
            handler_fn(move |_: String| {
                *runs.lock().expect("nothing panics under it") += 1;
                let mut gate = gate.clone();
                async move {
                    let opened = gate.wait_for(|open| *open).await;
                    opened.map(drop).map_err(HandlerError::transient)
                }
            })
        };
        let consumer = Consumer::builder("limits", handler)
            .source(&limited.name)
            .group("limits")
            .dead_letter(&limited.dead)
            .outer(seen.clone())
            .store(MemoryStore::new())
            .dedup_key(DedupKey::of(|text: &String| text.clone()))
            .retry(Retry::default().max_attempts(2))
            // Nothing ends by itself while the test looks.
            .lease(Duration::from_secs(60))
            .timeout(Duration::from_secs(600))
            .waiting_share(0.01)
            .build(broker.clone())
            .expect("the policy is sound");
        let shutdown = Shutdown::new();
        let running = tokio::spawn(consumer.run(shutdown.clone()));
        let began = Instant::now();
        for _ in 0..5 {
            limited.publish("\"m1\"").await;
        }
        // Two more rounds of the three.
        let coming = async {
            while seen.deliveries().len() < 5 + 6 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, coming).await.expect("what is busy comes again");
        assert!(began.elapsed() >= Duration::from_secs(2), "twice in {:?}", began.elapsed());
        open.send_replace(true);
        let mut ended = seen.1.subscribe();
        let all = timeout(PATIENCE, ended.wait_for(|ended| *ended == 5)).await;
        all.expect("all of them end in time").expect("the sender lives");
        shutdown.trigger();
        running.await.expect("it does not panic").expect("it ends well");
        assert_eq!(*runs.lock().expect("nothing panics under it"), 1);
        let deliveries = seen.deliveries();
        assert!(deliveries.iter().all(|count| *count <= 2), "the limit is 8: {deliveries:?}");
        let dead = broker.subscribe(&Subscription::new(&limited.dead, "limits")).await;
        let dead = dead.expect("a session");
        assert_eq!(dead.backlog().await.expect("the server is there"), Some(0));
        dead.close().await;
        limited.delete(&["1s", "2s", "5s"]).await;
    }
}
