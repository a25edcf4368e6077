//! Members come, go and die, while keyed messages flow: nothing is lost, nothing takes effect twice,
//! every key keeps its order, and no key is at two owners at once.

mod support;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};
use steadfast::{
    Consumer, Context, DedupKey, Handler, HandlerError, Message, OrderedBy, Shutdown,
    broker::Broker as _,
};
use steadfast_kafka::{GroupProtocol, KafkaBroker};
use steadfast_postgres::{Config, PostgresContext as _, sqlx, testing::Scratch};
use support::{admin, classic, unique};

const PARTITIONS: i32 = 12;
const KEYS: u32 = 600;
const MEMBERS: usize = 3;

#[derive(Serialize, Deserialize)]
struct Step {
    key: u32,
    number: u32,
}

/// What all members share, and look for.
#[derive(Default)]
struct Watch {
    at_work: Mutex<HashSet<u32>>,
    two_at_once: AtomicU32,
    done: AtomicU32,
}

/// A key at work. It ends also when the handler is dropped.
struct AtWork<'a>(&'a Watch, u32);

impl<'a> AtWork<'a> {
    fn begin(watch: &'a Watch, key: u32) -> Self {
        if !watch.at_work.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
            watch.two_at_once.fetch_add(1, Ordering::Relaxed);
        }
        Self(watch, key)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.at_work.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// Writes each step into a ledger without unique keys, in the lent transaction.
struct WriteDown(Arc<Watch>);

impl Handler for WriteDown {
    type Message = Step;

    async fn handle(&self, step: Step, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let _at_work = AtWork::begin(&self.0, step.key);
        let transaction = cx.transaction().await?;
        sqlx::query("insert into ledger (key, number) values ($1, $2)")
            .bind(i64::from(step.key))
            .bind(i64::from(step.number))
            .execute(&mut **transaction)
            .await?;
        self.0.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cooperative_members_lose_and_double_nothing() {
    run(|broker| broker, messages(), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eager_members_lose_and_double_nothing() {
    run(|broker| broker.group_protocol(GroupProtocol::Eager), messages() / 5, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kip_848_members_lose_and_double_nothing() {
    let kip_848 = |_| support::quick(&steadfast_test_servers::kafka());
    run(|broker| kip_848(broker).group_protocol(GroupProtocol::Broker), messages() / 5, 3).await;
}

/// More by option: `STEADFAST_LONG=1`.
fn messages() -> u32 {
    if std::env::var_os("STEADFAST_LONG").is_some_and(|value| value == "1") {
        500_000
    } else {
        50_000
    }
}

async fn run(settings: impl Fn(KafkaBroker) -> KafkaBroker, messages: u32, seed: u64) {
    let servers = steadfast_test_servers::kafka();
    let (source, dead) = (unique("churn"), unique("churn-dead"));
    admin::create_topic(&servers, &source, PARTITIONS).await;
    admin::create_topic(&servers, &dead, 1).await;
    // Members that stall are missed too.
    let broker = classic(&servers).set("session.timeout.ms", "1500");
    let broker = settings(broker).revoke_wait(Duration::from_secs(1));
    publish(&broker, &source, messages).await;

    let config = Config::new(&steadfast_test_servers::postgres_url()).expect("a URL");
    let config = config.lanes(2).and_then(|config| config.transactions(12)).expect("settings");
    let scratch = Scratch::with(config).await.expect("a schema");
    let table = "create table ledger (id bigserial, key bigint, number bigint)";
    sqlx::query(table).execute(scratch.pool()).await.expect("a table");

    let watch = Arc::new(Watch::default());
    let began = Instant::now();
    let lives = AtomicU32::new(0);
    let member = |slot: usize| {
        let (watch, broker, store, lives) = (&watch, &broker, scratch.store(), &lives);
        let (source, dead) = (&source, &dead);
        async move {
            let mut chance = StdRng::seed_from_u64(seed << 8 | slot as u64);
            while watch.done.load(Ordering::Relaxed) < messages {
                lives.fetch_add(1, Ordering::Relaxed);
                let consumer = Consumer::builder("churn", WriteDown(Arc::clone(watch)))
                    .source(source)
                    .group(format!("{source}-group"))
                    .dead_letter(dead)
                    .ordered_by(OrderedBy::Key)
                    .concurrency(16)
                    .max_in_flight(512)
                    .store(store.clone())
                    .dedup_key(DedupKey::of(|step: &Step| format!("{}-{}", step.key, step.number)))
                    .transactional()
                    .lease(Duration::from_secs(5))
                    .drain(Duration::from_secs(5))
                    .build(broker.clone())
                    .expect("the policy is sound");
                let shutdown = Shutdown::new();
                let mut running = tokio::spawn(consumer.run(shutdown.clone()));
                let life = Duration::from_millis(chance.random_range(3_000..8_000));
                let ended = tokio::time::timeout(life, &mut running).await;
                assert!(ended.is_err(), "a member ends by itself: {ended:?}");
                if chance.random_bool(0.5) {
                    running.abort();
                    let _ = running.await;
                } else {
                    shutdown.trigger();
                    let ended = running.await.expect("it does not panic");
                    ended.expect("a member that is stopped ends well");
                }
            }
        }
    };
    let limit = Duration::from_secs(300) + Duration::from_millis(u64::from(messages) * 4);
    let members = join_all((0..MEMBERS).map(member));
    tokio::time::timeout(limit, members).await.unwrap_or_else(|_| {
        panic!("seed {seed}: {} of {messages} done", watch.done.load(Ordering::Relaxed))
    });
    // What an aborted member had begun, and the effects of which were rolled back, is done again.
    finish(&broker, &scratch, (&source, &dead), &watch, messages).await;

    let rows: Vec<(i64, i64)> = sqlx::query_as("select key, number from ledger order by id")
        .fetch_all(scratch.pool())
        .await
        .expect("the ledger");
    println!(
        "seed {seed}: {} effects of {messages} messages, {} lives, {:?}",
        rows.len(),
        lives.load(Ordering::Relaxed),
        began.elapsed()
    );
    judge(&rows, messages, seed);
    assert_eq!(watch.two_at_once.load(Ordering::Relaxed), 0, "seed {seed}: a key at two owners");
    let dead = tokio::task::spawn_blocking(move || admin::read_all(&servers, &dead)).await;
    assert_eq!(dead.expect("it is read").len(), 0, "seed {seed}: dead letters");
}

/// A last member that nothing happens to, until the ledger has everything.
async fn finish(
    broker: &KafkaBroker,
    scratch: &Scratch,
    (source, dead): (&str, &str),
    watch: &Arc<Watch>,
    messages: u32,
) {
    let consumer = Consumer::builder("churn", WriteDown(Arc::clone(watch)))
        .source(source)
        .group(format!("{source}-group"))
        .dead_letter(dead)
        .ordered_by(OrderedBy::Key)
        .concurrency(16)
        .store(scratch.store())
        .dedup_key(DedupKey::of(|step: &Step| format!("{}-{}", step.key, step.number)))
        .transactional()
        .lease(Duration::from_secs(5))
        .build(broker.clone())
        .expect("the policy is sound");
    let shutdown = Shutdown::new();
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    let all = async {
        loop {
            let counted: (i64,) = sqlx::query_as("select count(*) from ledger")
                .fetch_one(scratch.pool())
                .await
                .expect("the ledger");
            if counted.0 >= i64::from(messages) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), all).await.expect("messages are lost");
    shutdown.trigger();
    running.await.expect("it does not panic").expect("it ends well");
}

async fn publish(broker: &KafkaBroker, source: &str, messages: u32) {
    let broker = broker.clone().publish_timeout(Duration::from_secs(14));
    let publisher = broker.publisher().await.expect("a publisher");
    for start in (0..messages).step_by(1000) {
        let some = (start..messages.min(start + 1000)).map(|number| {
            let (key, publisher) = (number % KEYS, &publisher);
            let step = serde_json::to_vec(&Step { key, number: number / KEYS }).expect("JSON");
            let message = Message::new(step).with_key(key.to_string());
            async move { publisher.publish(source, &message).await }
        });
        for published in join_all(some).await {
            published.expect("it is published");
        }
    }
}

/// Each step once, and those of a key in their order.
fn judge(rows: &[(i64, i64)], messages: u32, seed: u64) {
    let mut next: BTreeMap<i64, i64> = BTreeMap::new();
    for (key, number) in rows {
        let expected = next.entry(*key).or_default();
        assert_eq!(number, expected, "seed {seed}: key {key} is out of order, lost or doubled");
        *expected += 1;
    }
    assert_eq!(rows.len(), messages as usize, "seed {seed}");
}
