//! Consumers on RabbitMQ with PostgreSQL as their memory, killed and stopped, on quorum and classic queues.

use std::{
    env,
    path::PathBuf,
    thread::sleep,
    time::{Duration, Instant},
};

use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use steadfast::broker::Broker as _;
use steadfast_crash::{Action, Blow, Plan, Suite, peak_memory};
use steadfast_rabbitmq::{Queue, RabbitMq as Broker};
use steadfast_test_servers::{Proxy, RabbitMq, postgres_url, rabbitmq_url};
use tokio::runtime::Runtime;

fn suite(broker: &str) -> Suite {
    let plan = Plan::new(&postgres_url(), broker);
    Suite { worker: env!("CARGO_BIN_EXE_crash-worker"), plan }
}

fn is_long() -> bool {
    env::var_os("STEADFAST_LONG").is_some_and(|long| long == "1")
}

/// Hundreds of rounds with STEADFAST_LONG=1.
#[test]
fn random_kills_and_stops_lose_double_and_disorder_nothing() {
    suite(&rabbitmq_url()).random(if is_long() { 300 } else { 24 });
}

#[test]
fn poison_is_dead_lettered_after_its_attempts_as_it_was_published() {
    suite(&rabbitmq_url()).poison();
}

#[test]
fn a_server_that_is_killed_under_load_loses_doubles_and_disorders_nothing() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("crash-rabbitmq");
    let mut server = RabbitMq::start(folder).expect("it starts");
    let suite = suite(server.url());
    // 3.10 answers a declaration up to a second before the queue is on its disk: here it is there first.
    let sync = "mnesia:dump_log(), [ok = dets:sync(Table) || Table <- dets:all()].";
    let mut kill = || {
        server.ctl(&["eval", sync])?;
        server.kill()?;
        server.start_again()
    };
    let blows =
        [(100, Blow::Around(0)), (300, Blow::Worker(1, Action::Kill)), (500, Blow::Around(0))];
    suite.struck(&blows, &mut [&mut kill]);
}

#[test]
fn dead_letters_are_in_the_new_queue_or_were_in_the_one_that_was_deleted() {
    let (url, runtime) = (rabbitmq_url(), Runtime::new().expect("a runtime"));
    suite(&url).letters_deleted(
        |dead| {
            runtime.block_on(async {
                let connecting = Connection::connect(&url, ConnectionProperties::default());
                let channel = connecting.await?.create_channel().await?;
                channel.queue_delete(dead.into(), QueueDeleteOptions::default()).await?;
                Ok(())
            })
        },
        |dead| {
            let broker = Broker::new(&url)?.declare(Queue::quorum(dead));
            Ok(runtime.block_on(broker.publisher()).map(drop)?)
        },
    );
}

/// The network between the workers and the server: cut, also while they recover; mute for longer than
/// heartbeats allow; narrow.
#[test]
fn a_failing_network_loses_doubles_and_disorders_nothing() {
    let runtime = Runtime::new().expect("a runtime");
    let url = rabbitmq_url();
    let target = url.rsplit_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("a URL").0;
    let proxy = runtime.block_on(Proxy::start(target)).expect("a free port");
    let suite = suite(&url.replacen(target, &proxy.address().to_string(), 1));
    let mut cut = || {
        for _ in 0..20 {
            proxy.cut();
            sleep(Duration::from_millis(50));
        }
        Ok(())
    };
    let mut stall = || {
        proxy.stall();
        sleep(Duration::from_secs(4));
        proxy.pass();
        Ok(())
    };
    let mut narrow = || {
        proxy.throttle(20_000);
        Ok(())
    };
    let mut open = || {
        proxy.pass();
        Ok(())
    };
    let blows = [
        (100, Blow::Around(0)),
        (250, Blow::Around(1)),
        (400, Blow::Around(2)),
        (500, Blow::Around(0)),
        (600, Blow::Worker(1, Action::Kill)),
        (700, Blow::Around(3)),
    ];
    suite.struck(&blows, &mut [&mut cut, &mut stall, &mut narrow, &mut open]);
}

/// A million messages wait, and a worker takes no more memory than with a hundred times fewer: what it
/// holds is bounded by its prefetch, and 64 MiB is all of it.
#[test]
fn a_backlog_of_a_million_messages_stays_in_the_server() {
    const BOUND: u64 = 64 << 20;
    const MORE: u64 = 8 << 20;
    let url = rabbitmq_url();
    let runtime = Runtime::new().expect("a runtime");
    let peaks = [10_000, 1_000_000].map(|messages| {
        let suite = suite(&url);
        let mut plan = suite.plan.clone();
        let queue = format!("crash.backlog.{messages}.{:08x}", rand::random::<u32>());
        plan.topic = Some(queue.clone());
        runtime.block_on(fill(&plan, &queue, messages));
        let peak = peak_memory(suite.worker, &plan, 2000).expect("it works on them");
        runtime.block_on(delete(&plan, &queue));
        peak
    });
    println!("peaks of 10,000 and 1,000,000: {peaks:?} bytes");
    assert!(peaks[1] < BOUND && peaks[1] < peaks[0] + MORE, "{peaks:?}");
}

/// Publishes as fast as the server reads, unconfirmed and transient, and sees at the end that all is there.
async fn fill(plan: &Plan, queue: &str, messages: u32) {
    let connecting = Connection::connect(&plan.broker, ConnectionProperties::default());
    let channel = connecting.await.expect("a server").create_channel().await.expect("a channel");
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    for name in [queue, &plan.dead_letters()] {
        channel.queue_declare(name.into(), durable, FieldTable::default()).await.expect("a queue");
    }
    for number in 0..messages {
        let message = plan.message(number);
        let payload = message.payload.as_deref().unwrap_or_default();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let publishing =
            channel.basic_publish("".into(), queue.into(), options, payload, properties);
        publishing.await.expect("it is sent");
    }
    let passive = QueueDeclareOptions { passive: true, ..durable };
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let looked = channel.queue_declare(queue.into(), passive, FieldTable::default()).await;
        let found = looked.expect("it is there").message_count();
        if found == messages {
            return;
        }
        assert!(Instant::now() < deadline, "{found} of {messages} messages have arrived");
    }
}

async fn delete(plan: &Plan, queue: &str) {
    let connecting = Connection::connect(&plan.broker, ConnectionProperties::default());
    let channel = connecting.await.expect("a server").create_channel().await.expect("a channel");
    for name in [queue, &plan.dead_letters(), &format!("{queue}.steadfast.wait.1s")] {
        let deleting = channel.queue_delete(name.into(), QueueDeleteOptions::default());
        deleting.await.expect("the queue is there");
    }
}
