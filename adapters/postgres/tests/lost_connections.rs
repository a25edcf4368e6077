//! Connections for lent transactions that broke, or fell silent, while nobody looked.

mod support;

use std::{
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use sqlx::{AssertSqlSafe, Executor as _, PgPool, postgres::PgConnectOptions};
use steadfast::{
    Backoff, Consumer, Context, DedupKey, Handler, HandlerError, Retry,
    store::{Answer, Lent, Note, Store as _, StoreError, Written},
};
use steadfast_mock::MockBroker;
use steadfast_postgres::{
    Config, ConnectError, PostgresContext as _, PostgresStore, PostgresTransaction, sqlx,
    testing::Scratch,
};
use steadfast_test_servers::Proxy;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    HOUR, Stopped, claim, config, effects, granted, id, scratch, until, url, with_effects,
};

async fn lent(store: &PostgresStore, key: impl ToString) -> Box<dyn Lent> {
    let key = key.to_string();
    let token = granted(store, &key).await.token;
    store.lend(&id(&key), &token).expect("it lends")
}

fn ours(lent: &mut Box<dyn Lent>) -> &mut PostgresTransaction {
    lent.as_any_mut().downcast_mut::<PostgresTransaction>().expect("ours")
}

/// The server was restarted, or a firewall closed what was idle, when all was quiet.
#[tokio::test]
async fn the_first_handler_after_all_connections_were_closed_gets_one() {
    let config = config().transactions(12).expect("a number");
    let scratch = Scratch::with(config).await.expect("a schema");
    let store = scratch.store();
    let mut many = join_all((0..12).map(|n| lent(&store, n))).await;
    let mut pids = Vec::new();
    for lent in &mut many {
        pids.push(pid(lent).await);
    }
    for lent in many {
        lent.roll_back().await.expect("it is rolled back");
    }
    for pid in pids {
        rests(&scratch, pid).await;
        end(scratch.pool(), pid).await;
    }
    let mut one = lent(&store, "one").await;
    ours(&mut one).open().await.expect("a new connection");
    assert_eq!(one.complete().await.unwrap(), Written::Applied);
}

/// A firewall has forgotten them all. None is waited for longer than a moment.
#[tokio::test]
async fn connections_that_fell_silent_at_rest_are_replaced() {
    let config = config().transactions(4).expect("a number");
    let scratch = Scratch::with(config).await.expect("a schema");
    let store = scratch.store();
    let mut many = join_all((0..4).map(|n| lent(&store, n))).await;
    let mut pids = Vec::new();
    for lent in &mut many {
        pids.push(pid(lent).await);
    }
    for lent in many {
        lent.roll_back().await.expect("it is rolled back");
    }
    let rested = timeout(Duration::from_secs(60), async {
        let all = "select not exists (
                       select from pg_stat_activity
                       where pid = any($1) and state_change > now() - interval '6 seconds')";
        while !sqlx::query_scalar::<_, bool>(all)
            .bind(&pids)
            .fetch_one(scratch.pool())
            .await
            .expect("the server answers")
        {
            sleep(Duration::from_millis(100)).await;
        }
    });
    rested.await.expect("they rest");
    let mut one = lent(&store, "one").await;
    let _stopped = Stopped::new(pids);
    let opened = timeout(Duration::from_secs(8), ours(&mut one).open()).await;
    opened.expect("it takes no longer").expect("a new connection");
    assert_eq!(one.complete().await.unwrap(), Written::Applied);
}

/// The server's process of a transaction, which this opens.
async fn pid(lent: &mut Box<dyn Lent>) -> i32 {
    let transaction = ours(lent).open().await.expect("a transaction");
    let pid = sqlx::query_scalar::<_, i32>("select pg_backend_pid()");
    pid.fetch_one(&mut **transaction).await.expect("a pid")
}

/// Waits until a connection has been given back, looked at and found good.
async fn rests(scratch: &Scratch, pid: i32) {
    let waited = timeout(Duration::from_secs(60), async {
        loop {
            let rests = "select state = 'idle' and query like '%transaction_read_only%'
                         from pg_stat_activity where pid = $1";
            let rests = sqlx::query_scalar::<_, bool>(rests).bind(pid);
            // One that was not looked at in time is closed: it rests for ever.
            if rests.fetch_optional(scratch.pool()).await.expect("the server answers")
                != Some(false)
            {
                break;
            }
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it is given back");
}

async fn end(pool: &PgPool, pid: i32) {
    let end = format!("select pg_terminate_backend({pid}, 10000)");
    pool.execute(AssertSqlSafe(end)).await.expect("it is ended");
}

/// A store behind a network that can fall silent, as a firewall that has forgotten a connection.
async fn behind(scratch: &Scratch) -> (Proxy, PostgresStore) {
    behind_with(scratch, |config| config.transactions(1)).await
}

/// The same, with settings of the test's.
async fn behind_with(
    scratch: &Scratch,
    set: impl FnOnce(Config) -> Result<Config, ConnectError>,
) -> (Proxy, PostgresStore) {
    let options = PgConnectOptions::from_str(&url()).expect("a URL");
    let target = format!("{}:{}", options.get_host(), options.get_port());
    let proxy = Proxy::start(target).await.expect("a port");
    let options = options.host("127.0.0.1").port(proxy.address().port());
    let config = Config::with(options).schema(scratch.schema()).expect("a name");
    let config = config.lanes(1).and_then(set).expect("numbers");
    let store = PostgresStore::connect(&config).await.expect("it connects");
    (proxy, store)
}

/// Several deadlines of 10 s, one after the other.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_begin_that_is_never_answered_ends() {
    let scratch = scratch().await;
    let (proxy, store) = behind(&scratch).await;
    let mut first = lent(&store, "first").await;
    let pid = pid(&mut first).await;
    let mut second = lent(&store, "second").await;
    first.roll_back().await.expect("it is rolled back");
    rests(&scratch, pid).await;
    proxy.stall();
    let given_up = timeout(Duration::from_millis(100), ours(&mut second).open()).await;
    assert!(given_up.is_err(), "the network says nothing");
    let ended = timeout(PATIENCE, second.roll_back()).await;
    let error = ended.expect("the attempt ends").expect_err("it was an outage");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn an_end_that_is_never_answered_frees_its_connection() {
    let scratch = scratch().await;
    let (proxy, store) = behind(&scratch).await;
    let mut silent = lent(&store, "silent").await;
    let mut next = lent(&store, "next").await;
    ours(&mut silent).open().await.expect("a transaction");
    proxy.stall();
    let ended = timeout(PATIENCE, silent.complete()).await;
    assert!(matches!(ended, Ok(Err(StoreError::Unavailable(_)))), "{ended:?}");
    // What was in the pipe is lost; new connections pass.
    proxy.cut();
    proxy.pass();
    let opened = timeout(PATIENCE, ours(&mut next).open()).await;
    opened.expect("there is a free one").expect("it begins");
    assert_eq!(next.complete().await.unwrap(), Written::Applied);
}

/// It is not idleness that has ended it, however long ago it began.
#[tokio::test]
async fn a_transaction_that_is_lost_while_it_is_in_use_is_an_outage() {
    const IDLE: Duration = Duration::from_secs(3);
    let scratch = scratch().await;
    let set = |config: Config| config.transactions(1)?.idle_in_transaction(IDLE);
    let (proxy, store) = behind_with(&scratch, set).await;
    let mut used = lent(&store, "used").await;
    ours(&mut used).open().await.expect("a transaction");
    let begun = Instant::now();
    while begun.elapsed() < IDLE {
        let transaction = ours(&mut used).open().await.expect("a transaction");
        transaction.execute("select pg_sleep(0.2)").await.expect("it is there");
    }
    proxy.cut();
    let error = used.roll_back().await.expect_err("it was an outage");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

/// The network takes nothing any more, not even that they are closed: they keep their places in the pool, and
/// as many others find one.
#[tokio::test]
async fn connections_that_cannot_be_closed_hold_up_no_others() {
    const LENT: u32 = 5;
    /// More than the buffers on the way hold.
    const MUCH: usize = 16 * 1024 * 1024;
    let scratch = with_effects().await;
    let (proxy, store) = behind_with(&scratch, |config| config.transactions(LENT)).await;
    let mut silent = join_all((0..LENT).map(|n| lent(&store, n))).await;
    let mut next = join_all((LENT..2 * LENT).map(|n| lent(&store, n))).await;
    let statement = format!("copy {}.effects from stdin", scratch.schema());
    let mut copies = Vec::new();
    for lent in &mut silent {
        let transaction = ours(lent).open().await.expect("a transaction");
        copies.push(transaction.copy_in_raw(&statement).await.expect("a copy"));
    }
    proxy.vanish();
    let much = vec![b'x'; MUCH];
    for copy in &mut copies {
        let sent = timeout(Duration::from_millis(200), copy.send(much.as_slice())).await;
        assert!(sent.is_err(), "the network takes it all");
    }
    drop(copies);
    // Whatever they say.
    join_all(silent.into_iter().map(|lent| lent.roll_back())).await;
    let opened = join_all(next.iter_mut().map(|lent| ours(lent).open())).await;
    let opened: Result<Vec<_>, _> = opened.into_iter().collect();
    opened.expect("connections for all of them");
    proxy.cut();
    let ended = "select not exists (select from pg_locks where relation = 'effects'::regclass)";
    until(&scratch, "the server to see that they are gone", ended).await;
}

/// All are lent for longer than a handler waits: its attempt ends at its timeout, not when one is free, and
/// it is not the message's failure.
#[tokio::test]
async fn a_wait_for_a_connection_can_be_given_up() {
    let scratch = scratch().await;
    let (_proxy, store) = behind(&scratch).await;
    let mut first = lent(&store, "first").await;
    ours(&mut first).open().await.expect("a transaction");
    let mut second = lent(&store, "second").await;
    assert!(timeout(Duration::from_millis(100), ours(&mut second).open()).await.is_err());
    let ended = timeout(Duration::from_secs(5), second.roll_back()).await;
    let error = ended.expect("at once").expect_err("it never began").to_string();
    assert!(error.contains("all 1 transactions were lent"), "{error}");
    first.roll_back().await.expect("it is rolled back");
}

/// Does it while nobody is told, loses the connections when it is done, and is told by the next ones.
async fn with_the_reply_lost<T>(
    (scratch, proxy): (&Scratch, &Proxy),
    call: impl Future<Output = T>,
    done: &'static str,
) -> T {
    proxy.swallow_replies();
    let lose = async {
        until(scratch, "it to be done", done).await;
        proxy.cut();
        proxy.pass();
    };
    let (answer, ()) =
        timeout(PATIENCE, async { tokio::join!(call, lose) }).await.expect("in time");
    answer
}

/// HARDCASES E16: it must not be busy with itself.
#[tokio::test]
async fn a_claim_whose_reply_was_lost_is_granted_once() {
    let scratch = scratch().await;
    let (proxy, store) = behind(&scratch).await;
    granted(&store, "opens the connection").await;
    let claim = claim("lost");
    let done = "select count(*) = 2 from inbox";
    let answer = with_the_reply_lost((&scratch, &proxy), store.claim(&claim), done).await;
    let Ok(Answer::Granted(grant)) = answer else { panic!("not granted: {answer:?}") };
    let record = store.look(&claim.id).await.unwrap().expect("it is there");
    assert_eq!((record.fence, record.attempts), (grant.token.fence, 1));
    let Answer::Granted(again) = store.claim(&claim).await.unwrap() else { panic!("not granted") };
    assert_eq!((again.token, again.attempts), (grant.token, 1));
}

#[tokio::test]
async fn writes_whose_replies_were_lost_are_applied() {
    let scratch = scratch().await;
    let (proxy, store) = behind(&scratch).await;
    let at = (&scratch, &proxy);
    // Opens the connection, and prepares the statements on it.
    let warm = async |key: &str| {
        let token = granted(&store, key).await.token;
        assert_eq!(store.extend(&id(key), &token, HOUR).await.unwrap(), Written::Applied);
        assert_eq!(store.complete(&id(key), &token).await.unwrap(), Written::Applied);
    };
    warm("before done").await;
    let [done, failed, released] = ["done", "failed", "released"].map(id);
    let token = granted(&store, "done").await.token;
    let count = "select count(*) = 1 from inbox where key = 'done' and state = 'd'";
    let written = with_the_reply_lost(at, store.complete(&done, &token), count).await;
    assert_eq!(written.unwrap(), Written::Applied);
    warm("before failed").await;
    let token = granted(&store, "failed").await.token;
    let note = Note::new("transient");
    let count = "select count(*) = 1 from inbox where key = 'failed' and state = 'f'";
    let written = with_the_reply_lost(at, store.fail(&failed, &token, HOUR, &note), count).await;
    assert_eq!(written.unwrap(), Written::Applied);
    warm("before released").await;
    let token = granted(&store, "released").await.token;
    let count = "select count(*) = 1 from inbox where key = 'released' and state = 'f'";
    let written = with_the_reply_lost(at, store.release(&released, &token), count).await;
    assert_eq!(written.unwrap(), Written::Applied);
    assert_eq!(store.look(&released).await.unwrap().expect("it is there").attempts, 0);
}

#[tokio::test]
async fn a_commit_whose_reply_was_lost_is_found_to_have_happened() {
    let scratch = with_effects().await;
    let (proxy, store) = behind(&scratch).await;
    let mut one = lent(&store, "one").await;
    let insert = format!("insert into {}.effects values ('one')", scratch.schema());
    let transaction = ours(&mut one).open().await.expect("it begins");
    transaction.execute(AssertSqlSafe(insert)).await.expect("an effect");
    let done = "select count(*) = 1 from effects";
    let completed = with_the_reply_lost((&scratch, &proxy), one.complete(), done).await;
    assert_eq!(completed.unwrap(), Written::Applied);
    assert_eq!(effects(&scratch, "one").await, 1);
}

/// Books; the network falls silent at its first attempt.
struct BookInSilence {
    proxy: Arc<Proxy>,
    begun: AtomicU32,
}

impl Handler for BookInSilence {
    type Message = String;

    async fn handle(&self, _: String, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let attempt = cx.attempt();
        let transaction = cx.transaction().await?;
        if self.begun.fetch_add(1, Ordering::Relaxed) == 0 {
            self.proxy.stall();
        }
        sqlx::query("select 1").execute(&mut **transaction).await?;
        assert_eq!(attempt, 1);
        Ok(())
    }
}

/// A timeout that a silent server has brought about uses up no attempt.
#[tokio::test]
async fn a_server_that_falls_silent_under_a_handler_is_an_outage() {
    let scratch = scratch().await;
    let (proxy, store) = behind(&scratch).await;
    let proxy = Arc::new(proxy);
    let broker = MockBroker::new();
    let handler = BookInSilence { proxy: Arc::clone(&proxy), begun: AtomicU32::new(0) };
    let consumer = Consumer::builder("test", handler)
        .source("payments")
        .group("test")
        .dead_letter("payments.dead")
        .retry(Retry::with_backoff(Backoff::fixed(Duration::from_millis(10))).max_attempts(1))
        .timeout(Duration::from_secs(5))
        .store(store)
        .dedup_key(DedupKey::of(|paid: &String| paid.clone()))
        .transactional()
        .build(broker.clone())
        .expect("a right configuration");
    let health = consumer.health();
    broker.publish_json("payments", "one");
    let _running = broker.start(consumer);
    let not_ready = async {
        while !health.reasons().iter().any(|reason| reason == "store") {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, not_ready).await.expect("it says so");
    proxy.cut();
    proxy.pass();
    timeout(PATIENCE, broker.settled("payments")).await.expect("it goes on by itself");
    broker.dead_letters("payments.dead").expect_none();
}
