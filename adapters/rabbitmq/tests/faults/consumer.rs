//! What a whole consumer makes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use steadfast::{
    Consumer, DedupKey, Delivery, Handler, HandlerError, Health, Message, Middleware, Outcome,
    Process, RunError, Shutdown,
    broker::{Broker, Demand, Settle, Settlement, Subscription},
    handler_fn,
    store::MemoryStore,
};
use steadfast_rabbitmq::{Queue, RabbitMq};
use steadfast_test_servers::RabbitMq as Server;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    broker::{PATIENCE, Setting, until},
    node::{Alarm, channel, delete, node},
};

/// Texts that were begun, and those that have ended as done or dead-lettered.
#[derive(Clone, Default)]
struct Seen {
    begun: Arc<Mutex<BTreeMap<String, usize>>>,
    ended: Arc<watch::Sender<BTreeMap<String, Outcome>>>,
}

impl Seen {
    fn begins(&self, text: &str) {
        let mut begun = self.begun.lock().expect("nothing panics under it");
        *begun.entry(text.to_owned()).or_default() += 1;
    }

    fn begun(&self) -> BTreeMap<String, usize> {
        self.begun.lock().expect("nothing panics under it").clone()
    }

    fn ended(&self) -> BTreeSet<String> {
        self.ended.borrow().keys().cloned().collect()
    }

    async fn until_ended(&self, number: usize) {
        let mut ended = self.ended.subscribe();
        let waiting = timeout(PATIENCE, ended.wait_for(|ended| ended.len() >= number)).await;
        let found = self.ended();
        waiting
            .unwrap_or_else(|_| panic!("{number} should end, and {found:?} have"))
            .expect("alive");
    }
}

impl Middleware for Seen {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let text = text(&delivery.message);
        let outcome = next.run(delivery).await;
        if matches!(outcome, Outcome::Done | Outcome::DeadLettered(_)) {
            self.ended.send_modify(|ended| {
                ended.insert(text, outcome.clone());
            });
        }
        outcome
    }
}

struct Running {
    health: Health,
    shutdown: Shutdown,
    run: JoinHandle<Result<(), RunError>>,
}

impl Running {
    async fn start<H: Handler<Message = String>>(
        setting: &Setting,
        seen: &Seen,
        handler: H,
    ) -> Self {
        let consumer = Consumer::builder("faults", handler)
            .source(&setting.orders)
            .group("billing")
            .dead_letter(&setting.dead)
            .outer(seen.clone())
            .store(MemoryStore::new())
            .dedup_key(DedupKey::of(|text: &String| text.clone()))
            .concurrency(4)
            .max_in_flight(4)
            // Handlers wait for what the test does.
            .timeout(Duration::from_secs(600))
            .build(setting.broker.clone())
            .expect("the policy is sound");
        let (health, shutdown) = (consumer.health(), Shutdown::new());
        let run = tokio::spawn(consumer.run(shutdown.clone()));
        timeout(PATIENCE, health.ready()).await.expect("it begins in time");
        Self { health, shutdown, run }
    }

    async fn is_down(&self, reason: &str) {
        until("the reason why it is not ready", async || match self.health.reasons() {
            reasons if reasons.iter().any(|found| found == reason) => Ok(()),
            reasons => Err(reasons),
        })
        .await;
    }

    async fn ended(self) -> Result<(), RunError> {
        timeout(PATIENCE, self.run).await.expect("it ends in time").expect("it does not panic")
    }

    async fn stop(self) {
        self.shutdown.trigger();
        self.ended().await.expect("it ends well");
    }
}

fn text(message: &Message) -> String {
    let payload = message.payload.clone().unwrap_or_default();
    serde_json::from_slice(&payload).expect("a text in JSON")
}

fn message(text: &str) -> Message {
    Message::new(serde_json::to_vec(text).expect("a text"))
}

async fn publish(setting: &Setting, texts: &[String]) {
    let publisher = setting.broker.publisher().await.expect("the server is there");
    let publish = async |text: &String| publisher.publish(&setting.orders, &message(text)).await;
    // A few at a time: each has a deadline from when it begins.
    let published = stream::iter(texts).map(publish).buffer_unordered(32).try_collect::<()>().await;
    published.expect("they are confirmed");
}

/// What lies in the dead-letter queue, at least so much. A letter whose confirmation did not come in time
/// was published again, and may lie there twice.
async fn dead_letters(setting: &Setting, at_least: usize) -> BTreeSet<String> {
    let reader = setting.broker.subscribe(&Subscription::new(&setting.dead, "reader")).await;
    let reader = reader.expect("the queue is there");
    let mut found = BTreeSet::new();
    while found.len() < at_least || reader.backlog().await.expect("it tells") != Some(0) {
        let receiving = timeout(PATIENCE, reader.receive(Demand::new(64, usize::MAX))).await;
        let received = receiving.unwrap_or_else(|_| panic!("{at_least} wanted, and {found:?}"));
        for letter in received.expect("the session lives") {
            found.insert(text(&letter.message));
            reader.settle(&[Settle::new(letter, Settlement::Ack)]).await;
        }
    }
    reader.close().await;
    found
}

/// Until no publication is without its confirmation, and all that are confirmed are told.
async fn until_confirmations_are_told(server: &Server, seen: &Seen) {
    until("confirmations to arrive", async || {
        let before = seen.ended().len();
        let unconfirmed =
            server.ctl(&["list_channels", "--no-table-headers", "messages_unconfirmed"]);
        let unconfirmed = unconfirmed.expect("it answers");
        match (seen.ended().len(), unconfirmed.split_whitespace().all(|number| number == "0")) {
            (after, true) if after == before => Ok(()),
            (after, _) => Err((before, after, unconfirmed)),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_in_the_new_dead_letter_queue_or_was_confirmed_by_the_old() {
    let server = node().await;
    let mut setting = Setting::on(&server, "poison");
    let declaring =
        |queue: &str| RabbitMq::new(server.url()).expect("a URL").declare(Queue::quorum(queue));
    // The consumer must not make the queue again by itself, as it would after a reconnect.
    declaring(&setting.dead).publisher().await.expect("it can be declared");
    setting.broker = declaring(&setting.orders);
    let all: Vec<String> = (0..600).map(|number| format!("p{number}")).collect();
    let seen = Seen::default();
    let beside = channel(server.url()).await;
    publish(&setting, &all).await;
    let may_begin = Arc::new(Semaphore::new(20));
    let handler = {
        let may_begin = Arc::clone(&may_begin);
        handler_fn(move |_: String| {
            let may_begin = Arc::clone(&may_begin);
            async move {
                may_begin.acquire().await.map_err(HandlerError::transient)?.forget();
                Err::<(), _>(HandlerError::permanent("poison"))
            }
        })
    };
    let running = Running::start(&setting, &seen, handler).await;
    seen.until_ended(20).await;
    // Some while it is deleted, and some for certain afterwards.
    may_begin.add_permits(280);
    delete(&beside, &setting.dead).await;
    may_begin.add_permits(300);
    running.is_down("dead letters").await;
    until_confirmations_are_told(&server, &seen).await;
    // Nothing is confirmed any more: these were by the queue that was deleted.
    let confirmed = seen.ended();
    assert!(confirmed.len() < all.len(), "no queue is there: who confirmed these?");
    declaring(&setting.dead).publisher().await.expect("it can be declared again");
    seen.until_ended(all.len()).await;
    timeout(PATIENCE, running.health.ready()).await.expect("it recovers by itself");
    running.stop().await;
    let found = dead_letters(&setting, all.len() - confirmed.len()).await;
    let lost: Vec<_> =
        all.iter().filter(|text| !found.contains(*text) && !confirmed.contains(*text)).collect();
    assert!(lost.is_empty(), "neither in the new queue nor confirmed by the old: {lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_whose_queue_is_deleted_ends_and_names_it() {
    let server = node().await;
    let setting = Setting::on(&server, "ends");
    let seen = Seen::default();
    let running = Running::start(
        &setting,
        &seen,
        handler_fn(|_: String| async { Ok::<_, HandlerError>(()) }),
    )
    .await;
    publish(&setting, &["m1".into()]).await;
    seen.until_ended(1).await;
    server.ctl(&["delete_queue", &setting.orders]).expect("it can be deleted");
    let error = running.ended().await.expect_err("its queue is gone");
    assert!(error.to_string().contains(&setting.orders), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_alarm_pauses_a_consumer_that_must_publish_and_costs_nothing() {
    let server = node().await;
    let setting = Setting::on(&server, "memory");
    let seen = Seen::default();
    let (poison_may_fail, failing) = watch::channel(false);
    let (good_may_end, ending) = watch::channel(false);
    let handler = {
        let seen = seen.clone();
        handler_fn(move |text: String| {
            seen.begins(&text);
            let (mut failing, mut ending) = (failing.clone(), ending.clone());
            async move {
                let gate = if text == "poison" { &mut failing } else { &mut ending };
                gate.wait_for(|open| *open).await.map_err(HandlerError::transient)?;
                if text == "poison" { Err(HandlerError::permanent("poison")) } else { Ok(()) }
            }
        })
    };
    let mut texts: Vec<String> = (0..8).map(|number| format!("good{number}")).collect();
    texts.insert(0, "poison".into());
    // The poison first: what is published together arrives in any order.
    publish(&setting, &texts[..1]).await;
    publish(&setting, &texts[1..]).await;
    let running = Running::start(&setting, &seen, handler).await;
    until("four at work", async || if seen.begun().len() == 4 { Ok(()) } else { Err(()) }).await;
    let alarm = Alarm::raise(&server);
    poison_may_fail.send_replace(true);
    running.is_down("dead letters").await;
    // Consuming and acking go on for what was taken; nothing more is.
    good_may_end.send_replace(true);
    seen.until_ended(3).await;
    assert_eq!(seen.begun().len(), 4, "intake pauses: {:?}", seen.begun());
    assert!(!seen.ended().contains("poison"));
    drop(alarm);
    seen.until_ended(texts.len()).await;
    timeout(PATIENCE, running.health.ready()).await.expect("it recovers by itself");
    running.stop().await;
    assert!(seen.begun().values().all(|runs| *runs == 1), "no attempt is used: {:?}", seen.begun());
    assert_eq!(dead_letters(&setting, 1).await, BTreeSet::from(["poison".to_owned()]));
}
