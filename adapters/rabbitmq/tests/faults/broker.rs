//! What sessions and publishers make of it.

use std::{
    collections::BTreeSet,
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime},
};

use steadfast::{
    Delivery, Message,
    broker::{
        Broker, BrokerError, Demand, Publish, PublishError, Settle, SettleError, Settlement,
        Source, Subscription,
    },
};
use steadfast_rabbitmq::{Queue, RabbitMq};
use steadfast_test_servers::RabbitMq as Server;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::node::{Alarm, Impatience, channel, delete, node};

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
const TIER: Duration = Duration::from_secs(2);

/// A broker with two queues of this test's own.
pub(crate) struct Setting {
    pub(crate) orders: String,
    pub(crate) dead: String,
    pub(crate) broker: RabbitMq,
}

impl Setting {
    pub(crate) fn on(server: &Server, test: &str) -> Self {
        let own = uuid::Uuid::new_v4().simple();
        let (orders, dead) = (format!("{test}.orders.{own}"), format!("{test}.dead.{own}"));
        let broker = RabbitMq::new(server.url()).expect("a URL");
        let broker = broker.declare(Queue::quorum(&orders)).declare(Queue::quorum(&dead));
        let broker = broker.waits([TIER]).expect("the server keeps it");
        Self { orders, dead, broker }
    }

    async fn session(&self) -> Arc<dyn Source> {
        let subscription = Subscription::new(&self.orders, "billing");
        until("a session", async || self.broker.subscribe(&subscription).await).await
    }

    /// Everything that comes until these have all been acked. An ack whose answer is lost may have
    /// arrived: then the message does not come again.
    async fn ack_all(&self, mut missing: BTreeSet<String>) {
        let acking = async {
            let mut source = self.session().await;
            while !missing.is_empty() {
                match next(&*source).await {
                    Ok(delivery) => {
                        missing.remove(&text(&delivery.message));
                        source.settle(&[Settle::new(delivery, Settlement::Ack)]).await;
                    }
                    Err(_) => source = self.session().await,
                }
            }
            source.close().await;
        };
        let acked = timeout(PATIENCE, acking).await;
        acked.unwrap_or_else(|_| panic!("waited in vain for {missing:?}"));
    }
}

/// Asks until it succeeds.
pub(crate) async fn until<T, E: std::fmt::Debug>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let asking = async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

async fn next(source: &dyn Source) -> Result<Delivery, BrokerError> {
    loop {
        let receiving = timeout(PATIENCE, source.receive(Demand::new(1, 1))).await;
        if let Some(delivery) = receiving.expect("a delivery in time")?.into_iter().next() {
            return Ok(delivery);
        }
    }
}

/// Waits until the server would find a quorum queue after a kill. It writes the messages down before it
/// confirms them, but the name of a new queue only some moments later, and a queue whose name is
/// not found begins anew, empty.
async fn until_on_disk(server: &Server, queue: &str) {
    let names = server
        .folder()
        .join("data/mnesia/steadfast@localhost/quorum/steadfast@localhost/names.dets");
    let has = |bytes: &[u8]| bytes.windows(queue.len()).any(|part| part == queue.as_bytes());
    let looking = async || match std::fs::read(&names) {
        Ok(bytes) if has(&bytes) => Ok(()),
        other => Err(other.map(|_| "not yet")),
    };
    until("the name of a queue on disk", looking).await;
}

fn text(message: &Message) -> String {
    String::from_utf8(message.payload.clone().unwrap_or_default().to_vec()).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_says_that_memory_is_short_while_consuming_goes_on() {
    let server = node().await;
    let setting = Setting::on(&server, "alarm");
    let Setting { orders, dead, broker } = &setting;
    let publisher = broker.publisher().await.expect("the server is there");
    for text in ["m1", "m2"] {
        publisher.publish(orders, &Message::new(text)).await.expect("it is confirmed");
    }
    let source = setting.session().await;
    let alarm = Alarm::raise(&server);
    // The server says so to a connection only when that publishes.
    let refused =
        until("a refusal", async || match publisher.publish(dead, &Message::new("x")).await {
            Err(PublishError::Unavailable(error)) if error.to_string().contains("takes no") => {
                Ok(error)
            }
            other => Err(other.map_err(|error| error.to_string())),
        });
    refused.await;
    for _ in 0..2 {
        let delivery = next(&*source).await.expect("consuming goes on");
        let answers = source.settle(&[Settle::new(delivery, Settlement::Ack)]).await;
        answers.into_iter().next().expect("an answer").expect("it is ours");
    }
    drop(alarm);
    until("publishing to go on", async || publisher.publish(dead, &Message::new("y")).await).await;
    source.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_or_was_confirmed_outlives_a_kill_of_the_server() {
    let mut server = node().await;
    let setting = Setting::on(&server, "killed");
    let Setting { orders, dead, broker } = &setting;
    let publisher = broker.publisher().await.expect("the server is there");
    let source = setting.session().await;
    let mut confirmed = BTreeSet::new();
    for number in 0..200 {
        let text = format!("m{number}");
        publisher.publish(orders, &Message::new(text.clone())).await.expect("it is confirmed");
        confirmed.insert(text);
    }
    until_on_disk(&server, &format!("{orders}.steadfast.wait.2s")).await;
    for number in 0..100 {
        let delivery = next(&*source).await.expect("the server is there");
        let text = text(&delivery.message);
        // Half of them wait as copies, half are held when the server dies.
        if number % 2 == 0 {
            let requeue = Settlement::Requeue { delay: TIER, counted: true };
            let answers = source.settle(&[Settle::new(delivery, requeue)]).await;
            answers
                .into_iter()
                .next()
                .expect("an answer")
                .unwrap_or_else(|e| panic!("{text}: {e}"));
        }
    }
    server.kill().expect("it can be killed");
    timeout(PATIENCE, source.lost()).await.expect("the session notices");
    let failed = publisher.publish(dead, &Message::new("x")).await;
    assert!(matches!(failed, Err(PublishError::Unavailable(_))), "{failed:?}");
    server.start_again().expect("it can be started again");
    setting.ack_all(confirmed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_wait_for_their_queue_to_come_back() {
    let server = node().await;
    let setting = Setting::on(&server, "deleted");
    let Setting { orders, dead, broker } = &setting;
    let source = setting.session().await;
    let publisher = broker.publisher().await.expect("the server is there");
    publisher.publish(orders, &Message::new("held")).await.expect("it is confirmed");
    let held = next(&*source).await.expect("the server is there");
    publisher.publish(dead, &Message::new("before")).await.expect("it is confirmed");
    server.ctl(&["delete_queue", dead]).expect("it can be deleted");

    // Many at the same time, so that none can pass for another's confirmation.
    let many = |publisher: Arc<dyn Publish>| async move {
        let messages: Vec<Message> = (0..50).map(|n| Message::new(format!("d{n}"))).collect();
        let publishing = messages.iter().map(|message| publisher.publish(dead, message));
        futures::future::join_all(publishing).await
    };
    let answers = many(Arc::clone(&publisher)).await;
    assert!(
        answers.iter().all(|answer| matches!(answer, Err(PublishError::Unavailable(_)))),
        "{answers:?}"
    );
    // The source is on a connection apart: what it holds is still its own.
    let answers = source.settle(&[Settle::new(held, Settlement::Ack)]).await;
    answers.into_iter().next().expect("an answer").expect("the session has not noticed");

    let declaring = RabbitMq::new(server.url()).expect("a URL").declare(Queue::quorum(dead));
    declaring.publisher().await.expect("it can be declared again");
    assert!(many(publisher).await.iter().all(Result::is_ok));
    source.close().await;
    let subscription = Subscription::new(dead, "reader");
    let reader = broker.subscribe(&subscription).await.expect("a session");
    let mut found = BTreeSet::new();
    while found.len() < 50 {
        let delivery = next(&*reader).await.expect("the server is there");
        found.insert(text(&delivery.message));
    }
    assert!((0..50).all(|number| found.contains(&format!("d{number}"))), "{found:?}");
    reader.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_ends_the_session_and_is_named() {
    let server = node().await;
    let setting = Setting::on(&server, "gone");
    let orders = &setting.orders;
    let source = setting.session().await;
    server.ctl(&["delete_queue", orders]).expect("it can be deleted");
    timeout(PATIENCE, source.lost()).await.expect("the session notices");
    let error = source.receive(Demand::new(1, 1)).await.expect_err("the session is over");
    assert!(error.to_string().contains(orders), "{error}");
    let again = RabbitMq::new(server.url()).expect("a URL");
    match again.subscribe(&Subscription::new(orders, "billing")).await {
        Err(BrokerError::Misconfigured(words)) => assert!(words.contains(orders), "{words}"),
        other => panic!("the queue is gone: {:?}", other.err()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_outlasts_the_servers_patience_ends_the_session_and_comes_again() {
    let server = node().await;
    let impatience = Impatience::of(&server, Duration::from_secs(1));
    let setting = Setting::on(&server, "patience");
    let publisher = setting.broker.publisher().await.expect("the server is there");
    publisher.publish(&setting.orders, &Message::new("slow")).await.expect("it is confirmed");
    // A test that is slower than the server allows tries again.
    let (source, slow) = until("a delivery in time", async || {
        let source = setting.session().await;
        next(&*source).await.map(|slow| (source, slow))
    })
    .await;
    timeout(PATIENCE, source.lost()).await.expect("the session notices");
    let error = source.receive(Demand::new(1, 1)).await.expect_err("the session is over");
    assert!(error.to_string().contains("timed out"), "{error}");
    let answers = source.settle(&[Settle::new(slow, Settlement::Ack)]).await;
    assert!(matches!(&*answers, [Err(SettleError::Stale)]), "{answers:?}");
    source.close().await;
    drop(impatience);
    setting.ack_all(BTreeSet::from(["slow".to_owned()])).await;
}

/// Queues are deleted by hand, and then a retry must not be tried in vain for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_queue_that_is_deleted_is_declared_again() {
    let server = node().await;
    let setting = Setting::on(&server, "swept");
    let Setting { orders, broker, .. } = &setting;
    let publisher = broker.publisher().await.expect("the server is there");
    let source = setting.session().await;
    for text in ["m1", "m2"] {
        publisher.publish(orders, &Message::new(text)).await.expect("it is confirmed");
    }
    let beside = channel(server.url()).await;
    delete(&beside, &format!("{orders}.steadfast.wait.2s")).await;
    let requeue = Settlement::Requeue { delay: TIER, counted: true };
    let mut batch = Vec::new();
    for _ in 0..2 {
        let delivery = next(&*source).await.expect("the server is there");
        batch.push(Settle::new(delivery, requeue));
    }
    let answers = source.settle(&batch).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let mut again = BTreeSet::new();
    for _ in 0..2 {
        let delivery = next(&*source).await.expect("it comes after its wait");
        again.insert(text(&delivery.message));
        source.settle(&[Settle::new(delivery, Settlement::Ack)]).await;
    }
    assert_eq!(again, BTreeSet::from(["m1".to_owned(), "m2".to_owned()]));
    source.close().await;
}

/// When only one message is left in a queue, by the clock of the server, which watches for it when this
/// returns.
async fn when_one_is_left(
    server: Arc<impl Deref<Target = Server> + Send + Sync + 'static>,
    queue: &str,
) -> JoinHandle<SystemTime> {
    let data = server.folder().join("data").canonicalize().expect("a folder");
    let watches = data.join("watches");
    let _ = std::fs::remove_file(&watches);
    let mark = watches.display();
    let script = format!(
        "Name = rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>), \
         Wait = fun Again() -> \
             {{ok, Queue}} = rabbit_amqqueue:lookup(Name), \
             case rabbit_amqqueue:info(Queue, [messages]) of \
                 [{{messages, 1}}] -> erlang:system_time(millisecond); \
                 _ -> timer:sleep(10), Again() \
             end \
         end, \
         ok = file:write_file(\"{mark}\", <<>>), Wait()."
    );
    let watching = tokio::task::spawn_blocking(move || {
        let found = server.ctl(&["eval", &script]).expect("it answers");
        let millis = found.trim().parse().expect("a time");
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    });
    until("the server to watch", async || std::fs::metadata(&watches)).await;
    watching
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_do_not_wait_for_copies_that_nobody_takes() {
    let server = Arc::new(node().await);
    let setting = Setting::on(&server, "beside");
    let Setting { orders, broker, .. } = &setting;
    let publisher = broker.publisher().await.expect("the server is there");
    for text in ["waits", "ends"] {
        publisher.publish(orders, &Message::new(text)).await.expect("it is confirmed");
    }
    let source = setting.session().await;
    let (waits, ends) = (next(&*source).await.expect("it"), next(&*source).await.expect("it"));
    let alarm = Alarm::raise(&server);
    let one_is_left = when_one_is_left(Arc::clone(&server), orders).await;
    let requeue = Settlement::Requeue { delay: TIER, counted: true };
    let batch = [Settle::new(waits, requeue), Settle::new(ends, Settlement::Ack)];
    // The consumer ends a session whose settlements take 30 s.
    let settling = timeout(Duration::from_secs(20), source.settle(&batch));
    let answers = settling.await.expect("in time");
    let settled = SystemTime::now();
    assert!(matches!(&*answers, [Err(SettleError::Unavailable(_)), Ok(())]), "{answers:?}");
    let acked = timeout(PATIENCE, one_is_left).await.expect("in time").expect("it does not panic");
    assert!(acked < settled, "the ack has waited for the copy");
    drop(alarm);
    let [waits, _] = batch;
    until("the copy to be taken", async || {
        source.settle(std::slice::from_ref(&waits)).await.remove(0)
    })
    .await;
    let again = next(&*source).await.expect("it comes after its wait");
    assert_eq!(text(&again.message), "waits");
    source.close().await;
}
