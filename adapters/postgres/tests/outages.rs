//! A database that is down, restarted, full or read-only is nobody's fault (P8): intake pauses, no
//! attempt is used, nothing is dead-lettered, and it goes on by itself.
//!
//! On a server of their own, which they take turns to break.

mod support;

use std::{
    path::PathBuf,
    str::FromStr as _,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Executor as _, PgPool, postgres::PgConnectOptions};
use steadfast::{Consumer, Context, Handler, HandlerError, Health};
use steadfast_mock::{MockBroker, Running};
use steadfast_postgres::{Config, PostgresContext as _, sqlx, testing::Scratch};
use steadfast_test_servers::{Postgres, Proxy};
use tokio::time::{sleep, timeout};

use crate::support::Stopped;

const MESSAGES: u32 = 300;

/// Of handlers.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
struct Payment {
    id: u32,
}

struct Book;

impl Handler for Book {
    type Message = Payment;

    async fn handle(&self, paid: Payment, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let attempt = i32::try_from(cx.attempt())?;
        let transaction = cx.transaction().await?;
        let insert = sqlx::query("insert into payments values ($1, $2)");
        let insert = insert.bind(i32::try_from(paid.id)?).bind(attempt);
        insert.execute(&mut **transaction).await?;
        // So that there is always something under way when the database goes.
        sqlx::query("select pg_sleep(0.01)").execute(&mut **transaction).await?;
        Ok(())
    }
}

/// A consumer at work on a server that is about to have a bad time.
struct Scene {
    server: Postgres,
    scratch: Scratch,
    broker: MockBroker,
    health: Health,
    published: AtomicU32,
    _running: Running,
}

impl Scene {
    async fn begin(name: &str) -> Self {
        let server = server(name).await;
        Self::on(server).await
    }

    async fn on(server: Postgres) -> Self {
        let config = Config::new(server.url()).expect("its URL can be read");
        Self::reached_by(config, server, TIMEOUT).await
    }

    async fn reached_by(config: Config, server: Postgres, timeout: Duration) -> Self {
        let scratch =
            Scratch::with(config.transactions(8).expect("a number")).await.expect("a schema");
        let table = "create table payments (id int not null, attempt int not null)";
        scratch.pool().execute(table).await.expect("a table");
        let broker = MockBroker::new();
        let consumer = Consumer::builder("outages", Book)
            .source("payments")
            .group("test")
            .dead_letter("payments.dead")
            .store(scratch.store())
            .dedup_key(steadfast::DedupKey::of(|paid: &Payment| paid.id.to_string()))
            .transactional()
            .concurrency(8)
            .timeout(timeout)
            .build(broker.clone())
            .expect("a right configuration");
        let health = consumer.health();
        let running = broker.start(consumer);
        let published = AtomicU32::new(0);
        let scene = Self { server, scratch, broker, health, published, _running: running };
        (0..MESSAGES).for_each(|_| scene.publish());
        scene.booked_more_than(10).await;
        scene
    }

    fn publish(&self) {
        let id = self.published.fetch_add(1, Ordering::Relaxed);
        self.broker.publish_json("payments", &Payment { id });
    }

    async fn booked(&self) -> Result<i64, sqlx::Error> {
        let count = sqlx::query_scalar("select count(*) from payments");
        count.fetch_one(self.scratch.pool()).await
    }

    async fn booked_more_than(&self, count: i64) {
        within_a_minute("some to be booked", async || {
            self.booked().await.is_ok_and(|booked| booked > count)
        })
        .await;
    }

    /// Waits until the consumer says why it does nothing. Whoever has nothing to do notices nothing.
    async fn not_ready(&self) {
        within_a_minute("the consumer to say that it is not ready", async || {
            self.publish();
            let reasons = self.health.reasons();
            !self.health.is_ready() && reasons.iter().any(|r| r == "store" || r == "postgres")
        })
        .await;
    }

    async fn is_settled(&self) {
        let settled = timeout(Duration::from_secs(90), self.broker.settled("payments")).await;
        if settled.is_err() {
            panic!("{:?}: what is left: {:#?}", self.health.reasons(), self.left().await);
        }
    }

    /// Waits until all is done, and looks at what it came to.
    async fn ends_well(self) {
        self.is_settled().await;
        self.broker.dead_letters("payments.dead").expect_none();
        let found: (i64, i64, Option<i32>) =
            sqlx::query_as("select count(*), count(distinct id), max(attempt) from payments")
                .fetch_one(self.scratch.pool())
                .await
                .expect("the server is up");
        let all = i64::from(self.published.load(Ordering::Relaxed));
        assert_eq!(found, (all, all, Some(1)), "booked, different, and by which attempt at most");
        assert!(self.health.is_ready());
    }

    /// Records that have not ended: key, state, attempts, and for how long they are held.
    async fn left(&self) -> Vec<(String, String, i32, String)> {
        let left = "select key, state::text, attempts::int, coalesce(until - now(), '0')::text
                    from inbox where state <> 'd' limit 20";
        let left = sqlx::query_as(left).fetch_all(self.scratch.pool());
        left.await
            .unwrap_or_else(|error| vec![(error.to_string(), String::new(), 0, String::new())])
    }
}

async fn server(name: &str) -> Postgres {
    let folder = folder(name);
    let start = move || Postgres::start(folder).expect("a server of its own");
    tokio::task::spawn_blocking(start).await.expect("it does not panic")
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("outages").join(name)
}

async fn within_a_minute(what: &str, condition: impl AsyncFn() -> bool) {
    let waited = timeout(Duration::from_secs(60), async {
        while !condition().await {
            sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited a minute for {what}"));
}

async fn run(pool: &PgPool, statement: String) {
    pool.execute(AssertSqlSafe(statement)).await.expect("a statement of the test");
}

/// As somebody who is not subject to what is done to others.
async fn superuser(server: &Postgres) -> PgPool {
    PgPool::connect(server.url()).await.expect("the server is up")
}

const END_ALL: &str = "select pg_terminate_backend(pid) from pg_stat_activity
                       where application_name = 'steadfast' and pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_crashes_and_comes_back() {
    let mut scene = Scene::begin("crash").await;
    scene.server.kill_immediately().expect("it can be killed");
    scene.not_ready().await;
    scene.server.start_again().expect("it recovers");
    scene.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restarted_again_and_again() {
    let mut scene = Scene::begin("restart").await;
    for _ in 0..3 {
        let booked = scene.booked().await.expect("it is up");
        scene.server.stop().expect("it stops");
        scene.server.start_again().expect("it starts");
        scene.booked_more_than(booked.min(i64::from(MESSAGES) - 10)).await;
    }
    scene.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_becomes_read_only_as_a_primary_that_was_demoted() {
    let server = server("read-only").await;
    let other = superuser(&server).await;
    let set = |value: &str| {
        format!(
            "begin read write;
             alter database postgres set default_transaction_read_only = {value};
             commit"
        )
    };
    // As it may be where an earlier run was killed.
    run(&other, set("off")).await;
    let scene = Scene::on(server).await;
    run(&other, set("on")).await;
    run(&other, END_ALL.to_owned()).await;
    scene.not_ready().await;
    run(&other, set("off")).await;
    scene.ends_well().await;
}

/// 53300: of a role that is not a superuser, whose connections can be limited.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_has_no_connection_left() {
    let server = server("connections").await;
    let other = superuser(&server).await;
    // It may be left from an earlier run.
    let _ = other.execute("create role plain login").await;
    run(&other, "alter role plain connection limit -1".to_owned()).await;
    run(&other, "grant create on database postgres to plain".to_owned()).await;
    let plain = PgConnectOptions::from_str(server.url()).expect("a URL").username("plain");
    let scene = Scene::reached_by(Config::with(plain), server, TIMEOUT).await;
    run(&other, "alter role plain connection limit 0".to_owned()).await;
    run(&other, END_ALL.to_owned()).await;
    scene.not_ready().await;
    run(&other, "alter role plain connection limit -1".to_owned()).await;
    scene.ends_well().await;
}

/// A primary whose address can be led to its standby. What is committed is replicated, as it must be where
/// nothing may be forgotten.
async fn replicated(name: &str, timeout: Duration) -> (Scene, Proxy, Postgres) {
    let primary = server(name).await;
    let other = superuser(&primary).await;
    let reload = "select pg_reload_conf()".to_owned();
    run(&other, "alter system reset synchronous_standby_names".to_owned()).await;
    run(&other, reload.clone()).await;
    let folder = folder(&format!("{name}-standby"));
    let copy = move || (primary.standby(folder).expect("a standby"), primary);
    let (standby, primary) = tokio::task::spawn_blocking(copy).await.expect("it does not panic");
    run(&other, "alter system set synchronous_standby_names = '*'".to_owned()).await;
    run(&other, reload).await;

    let proxy = Proxy::start(address(&primary)).await.expect("a port");
    let options = PgConnectOptions::from_str(primary.url()).expect("a URL");
    let options = options.host("127.0.0.1").port(proxy.address().port());
    (Scene::reached_by(Config::with(options), primary, timeout).await, proxy, standby)
}

/// It is read-only until then.
async fn promote(standby: &Postgres) {
    run(&superuser(standby).await, "select pg_promote()".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_fails_over() {
    let (mut scene, proxy, standby) = replicated("failover", TIMEOUT).await;
    scene.server.kill().expect("it can be killed");
    scene.not_ready().await;
    proxy.lead_to(address(&standby));
    promote(&standby).await;
    scene.ends_well().await;
}

/// The old host vanishes without a word: the statements of handlers hang until their timeout, when the new
/// one has long answered others.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_fails_over_in_silence() {
    // Longer than the store takes to notice, so that it is well again when handlers are given up.
    let (mut scene, proxy, standby) = replicated("silence", Duration::from_secs(15)).await;
    proxy.vanish();
    proxy.lead_to(address(&standby));
    scene.server.kill().expect("it can be killed");
    // A session that begins within a second of a transaction may pass for its own.
    sleep(Duration::from_secs(2)).await;
    promote(&standby).await;
    scene.is_settled().await;
    // The test's own connections were silent too.
    proxy.cut();
    scene.ends_well().await;
}

fn address(server: &Postgres) -> String {
    let options = PgConnectOptions::from_str(server.url()).expect("a URL");
    format!("{}:{}", options.get_host(), options.get_port())
}

/// SIGSTOP: it accepts connections, and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs() {
    let scene = Scene::begin("hang").await;
    let pids = "select array_agg(pid) from pg_stat_activity where application_name = 'steadfast'";
    let pids: Vec<i32> =
        sqlx::query_scalar(pids).fetch_one(&superuser(&scene.server).await).await.expect("pids");
    scene.server.pause().expect("it can be stopped");
    let stopped = Stopped::new(pids);
    scene.not_ready().await;
    drop(stopped);
    scene.server.resume().expect("it goes on");
    scene.ends_well().await;
}
