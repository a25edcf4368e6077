//! What a handler writes in the lent transaction happens with the record, or not at all.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use steadfast::{
    Backoff, Builder, Consumer, Context, DedupKey, Handler, HandlerError, Json, NoLayers, Retry,
    store::{Answer, State, Store as _, Written},
};
use steadfast_mock::MockBroker;
use steadfast_postgres::{PostgresContext as _, PostgresTransaction, sqlx, testing::Scratch};
use tokio::{sync::Barrier, time::timeout};

use crate::support::{claim, granted, id, scratch, until};

#[derive(Serialize, Deserialize)]
struct Payment {
    id: String,
}

/// Writes its effect, then does as a function of the attempt says.
struct Book<F>(F);

impl<F, Fut> Handler for Book<F>
where
    F: Fn(u32) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    type Message = Payment;

    async fn handle(&self, paid: Payment, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let attempt = cx.attempt();
        let transaction = cx.transaction().await?;
        sqlx::query("insert into payments values ($1)")
            .bind(paid.id)
            .execute(&mut **transaction)
            .await?;
        (self.0)(attempt).await
    }
}

async fn with_payments() -> Scratch {
    let scratch = scratch().await;
    let table = sqlx::query("create table payments (id text not null)");
    table.execute(scratch.pool()).await.expect("a table");
    scratch
}

fn consumer<H: Handler<Message = Payment>>(
    scratch: &Scratch,
    handler: H,
) -> Builder<H, Json, NoLayers, NoLayers> {
    Consumer::builder("test", handler)
        .source("payments")
        .group("test")
        .dead_letter("payments.dead")
        .retry(Retry::with_backoff(Backoff::fixed(Duration::from_millis(10))).max_attempts(3))
        .store(scratch.store())
        .dedup_key(DedupKey::of(|paid: &Payment| paid.id.clone()))
        .transactional()
}

/// Publishes as many payments, each twice, and waits until all are settled.
async fn run<H: Handler<Message = Payment>>(
    built: Builder<H, Json, NoLayers, NoLayers>,
    payments: u32,
) -> MockBroker {
    let broker = MockBroker::new();
    for n in (0..payments).chain(0..payments) {
        broker.publish_json("payments", &Payment { id: n.to_string() });
    }
    let running = broker.start(built.build(broker.clone()).expect("a right configuration"));
    timeout(Duration::from_secs(60), broker.settled("payments")).await.expect("within a minute");
    drop(running);
    broker
}

async fn booked(scratch: &Scratch) -> (i64, i64) {
    sqlx::query_as("select count(*), count(distinct id) from payments")
        .fetch_one(scratch.pool())
        .await
        .expect("a count")
}

#[tokio::test]
async fn effects_happen_once() {
    let scratch = with_payments().await;
    let broker = run(consumer(&scratch, Book(|_| async { Ok(()) })), 50).await;
    assert_eq!(booked(&scratch).await, (50, 50));
    broker.dead_letters("payments.dead").expect_none();
}

#[tokio::test]
async fn an_error_a_panic_and_a_timeout_roll_back() {
    let scratch = with_payments().await;
    let handler = Book(|attempt| async move {
        match attempt {
            1 => Err(HandlerError::transient("the bank is closed")),
            2 => panic!("the till is broken"),
            _ => std::future::pending().await,
        }
    });
    let built = consumer(&scratch, handler).timeout(Duration::from_millis(100));
    let broker = run(built, 3).await;
    assert_eq!(booked(&scratch).await, (0, 0));
    assert_eq!(broker.dead_letters("payments.dead").len(), 3);
    until(&scratch, "the connections to be free", NOTHING_OPEN).await;
}

const NOTHING_OPEN: &str = "select count(*) = 0 from pg_stat_activity
    where application_name = 'steadfast' and pid <> pg_backend_pid()
      and state like 'idle in transaction%' and query like '%' || current_schema() || '%'";

#[tokio::test]
async fn a_failed_statement_that_the_handler_ignores_is_no_success() {
    struct Careless;
    impl Handler for Careless {
        type Message = Payment;
        async fn handle(&self, _: Payment, cx: &mut Context<'_>) -> Result<(), HandlerError> {
            let transaction = cx.transaction().await?;
            let _ = sqlx::query("select 1 / 0").execute(&mut **transaction).await;
            Ok(())
        }
    }
    let scratch = with_payments().await;
    let broker = run(consumer(&scratch, Careless), 1).await;
    broker.dead_letters("payments.dead").expect_one().after_attempts(3);
}

#[tokio::test]
async fn a_stale_owner_commits_nothing() {
    let scratch = with_payments().await;
    let store = scratch.store();
    let mut short = claim("a");
    short.lease = Duration::ZERO;
    let Answer::Granted(stale) = store.claim(&short).await.unwrap() else { panic!("not granted") };
    let mut lent = store.lend(&id("a"), &stale.token).unwrap();
    let open = lent.as_any_mut().downcast_mut::<PostgresTransaction>().unwrap();
    let insert = sqlx::query("insert into payments values ('a')");
    insert.execute(&mut **open.open().await.unwrap()).await.unwrap();
    let owner = granted(&store, "a").await;
    assert!(owner.token.fence > stale.token.fence);
    assert_eq!(lent.complete().await.unwrap(), Written::Fenced);
    assert_eq!(booked(&scratch).await, (0, 0));
    assert_eq!(store.look(&id("a")).await.unwrap().unwrap().state, State::InProgress);
}

/// A rule of the user's may take longer than a server that is well takes for anything else.
#[tokio::test]
async fn a_commit_that_takes_its_time_is_waited_for() {
    let scratch = with_payments().await;
    let rule = "create function ponder() returns trigger language plpgsql as
                    'begin perform pg_sleep(12); return null; end';
                create constraint trigger rule after insert on payments
                    deferrable initially deferred for each row execute function ponder()";
    sqlx::raw_sql(rule).execute(scratch.pool()).await.expect("a rule");
    let store = scratch.store();
    let token = granted(&store, "a").await.token;
    let mut lent = store.lend(&id("a"), &token).unwrap();
    let open = lent.as_any_mut().downcast_mut::<PostgresTransaction>().unwrap();
    let insert = sqlx::query("insert into payments values ('a')");
    insert.execute(&mut **open.open().await.unwrap()).await.unwrap();
    assert_eq!(lent.complete().await.unwrap(), Written::Applied);
    assert_eq!(booked(&scratch).await, (1, 1));
}

/// HARDCASES E17: a `begin` given up half-way must not leave a connection in a transaction.
#[tokio::test]
async fn a_begin_that_is_given_up_spoils_no_connection() {
    let scratch = with_payments().await;
    let store = scratch.store();
    for n in 0..200 {
        let key = format!("begin {n}");
        let token = granted(&store, &key).await.token;
        let mut lent = store.lend(&id(&key), &token).unwrap();
        let ours = lent.as_any_mut().downcast_mut::<PostgresTransaction>().unwrap();
        let _ = timeout(Duration::from_micros(n * 5), ours.open()).await;
        if n % 2 == 0 {
            // It says `Unavailable` where the server is slow to answer.
            let _ = lent.roll_back().await;
        }
    }
    until(&scratch, "no transaction to be open", NOTHING_OPEN).await;
    run(consumer(&scratch, Book(|_| async { Ok(()) })), 8).await;
    assert_eq!(booked(&scratch).await, (8, 8));
}

/// HARDCASES E11: more handlers than connections, and duplicates of what they work on.
#[tokio::test]
async fn more_handlers_than_connections_wait_and_go_on() {
    let scratch = with_payments().await;
    run(consumer(&scratch, Book(|_| async { Ok(()) })).concurrency(64), 200).await;
    assert_eq!(booked(&scratch).await, (200, 200));
}

#[tokio::test]
async fn a_handler_that_asks_for_no_transaction_holds_no_connection() {
    struct Meet(Arc<Barrier>);
    impl Handler for Meet {
        type Message = Payment;
        async fn handle(&self, _: Payment, _: &mut Context<'_>) -> Result<(), HandlerError> {
            self.0.wait().await;
            Ok(())
        }
    }
    let scratch = with_payments().await;
    // Eight meet, with four connections to lend.
    run(consumer(&scratch, Meet(Arc::new(Barrier::new(8)))).concurrency(8), 8).await;
}

/// A statement that outlives its handler's timeout is ended by the server, not waited for.
#[tokio::test]
async fn a_statement_given_up_frees_its_connection_and_its_locks() {
    struct Stuck(Arc<AtomicU32>);
    impl Handler for Stuck {
        type Message = Payment;
        async fn handle(&self, _: Payment, cx: &mut Context<'_>) -> Result<(), HandlerError> {
            let transaction = cx.transaction().await?;
            if self.0.fetch_add(1, Ordering::Relaxed) < 8 {
                sqlx::query("select pg_sleep(3600)").execute(&mut **transaction).await?;
            }
            Ok(())
        }
    }
    let scratch = with_payments().await;
    let stuck = Stuck(Arc::default());
    let built = consumer(&scratch, stuck)
        .timeout(Duration::from_millis(200))
        .retry(Retry::with_backoff(Backoff::fixed(Duration::from_millis(10))).max_attempts(20));
    run(built, 4).await.dead_letters("payments.dead").expect_none();
    let gone = "select count(*) = 0 from pg_stat_activity where query like '%pg_sleep(3600)'
                  and state = 'active' and pid <> pg_backend_pid()";
    until(&scratch, "the statements to end", gone).await;
}

/// A mistake of the one who built it, which is said so, and costs no message anything.
#[tokio::test]
async fn a_consumer_that_is_not_transactional_is_told() {
    let scratch = with_payments().await;
    let broker = MockBroker::new();
    broker.publish_json("payments", &Payment { id: "a".to_owned() });
    let consumer = Consumer::builder("test", Book(|_| async { Ok(()) }))
        .source("payments")
        .group("test")
        .dead_letter("payments.dead")
        .store(scratch.store())
        .dedup_key(DedupKey::of(|paid: &Payment| paid.id.clone()))
        .build(broker.clone())
        .expect("a right configuration");
    let health = consumer.health();
    let _running = broker.start(consumer);
    let words = "a transaction: the consumer is not `transactional`";
    timeout(Duration::from_secs(60), health.down(words)).await.expect("it is said");
    broker.dead_letters("payments.dead").expect_none();
}
