//! What a handler does wrong in its lent transaction is the message's failure: counted, told, and at
//! last dead-lettered. Never a success without its effects, never an outage that lasts for ever.

mod support;

use std::time::Duration;

use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, Executor as _, PgConnection};
use steadfast::{Backoff, Consumer, Context, DedupKey, Handler, HandlerError, Retry};
use steadfast_mock::MockBroker;
use steadfast_postgres::{PostgresContext as _, sqlx, testing::Scratch};
use tokio::time::{sleep, timeout};

use crate::support::{config, scratch};

#[derive(Serialize, Deserialize)]
struct Payment {
    id: String,
}

/// Books, then runs this.
struct Then(&'static str);

impl Handler for Then {
    type Message = Payment;

    async fn handle(&self, paid: Payment, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let transaction = cx.transaction().await?;
        let insert = sqlx::query("insert into payments values ($1)").bind(paid.id);
        insert.execute(&mut **transaction).await?;
        (&mut **transaction).execute(self.0).await?;
        Ok(())
    }
}

/// Books, copies what cannot be copied, perhaps to a savepoint, and takes no notice.
struct CopyBadly {
    to_savepoint: bool,
}

impl Handler for CopyBadly {
    type Message = Payment;

    async fn handle(&self, paid: Payment, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let transaction = cx.transaction().await?;
        let insert = sqlx::query("insert into payments values ($1)").bind(paid.id);
        insert.execute(&mut **transaction).await?;
        if self.to_savepoint {
            let mut inner = transaction.begin().await?;
            copy_badly(&mut inner).await?;
            inner.rollback().await?;
        } else {
            copy_badly(transaction).await?;
        }
        Ok(())
    }
}

/// The client leaves half of the server's answer to this unread.
async fn copy_badly(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut copy = connection.copy_in_raw("copy payments from stdin").await?;
    // More than the server looks ahead: it has found the fault before it is told to stop.
    copy.send("one\ttoo many\n".repeat(100).into_bytes()).await?;
    copy.abort("it is not needed").await.expect_err("the server has stopped by itself");
    Ok(())
}

/// Books, reads the beginning of a long copy, and may fail then.
struct ReadLittle {
    fails: bool,
}

impl Handler for ReadLittle {
    type Message = Payment;

    async fn handle(&self, paid: Payment, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let transaction = cx.transaction().await?;
        let insert = sqlx::query("insert into payments values ($1)").bind(paid.id);
        insert.execute(&mut **transaction).await?;
        let long = "copy (select generate_series(1, 1000)) to stdout";
        let mut rows = transaction.copy_out_raw(long).await?;
        rows.try_next().await?.expect("a row");
        if self.fails { Err(HandlerError::transient("the bank is closed")) } else { Ok(()) }
    }
}

/// Books, does nothing for a while, and may ask again to book again.
struct Dawdle {
    books_again: bool,
}

impl Handler for Dawdle {
    type Message = Payment;

    async fn handle(&self, paid: Payment, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let transaction = cx.transaction().await?;
        let insert = || sqlx::query("insert into payments values ($1)").bind(paid.id.clone());
        insert().execute(&mut **transaction).await?;
        sleep(Duration::from_millis(400)).await;
        if self.books_again {
            let transaction = cx.transaction().await?;
            insert().execute(&mut **transaction).await?;
        }
        Ok(())
    }
}

async fn with_payments(scratch: Scratch) -> Scratch {
    let table = "create table payments (id text not null)";
    scratch.pool().execute(table).await.expect("a table");
    scratch
}

async fn booked(scratch: &Scratch) -> i64 {
    let count = sqlx::query_scalar("select count(*) from payments");
    count.fetch_one(scratch.pool()).await.expect("a count")
}

/// One message, until it is settled, after so many attempts at most.
async fn settled<H: Handler<Message = Payment>>(
    scratch: &Scratch,
    handler: H,
    attempts: u32,
) -> MockBroker {
    let broker = MockBroker::new();
    let consumer = Consumer::builder("test", handler)
        .source("payments")
        .group("test")
        .dead_letter("payments.dead")
        .retry(
            Retry::with_backoff(Backoff::fixed(Duration::from_millis(10))).max_attempts(attempts),
        )
        .store(scratch.store())
        .dedup_key(DedupKey::of(|paid: &Payment| paid.id.clone()))
        .transactional()
        .build(broker.clone())
        .expect("a right configuration");
    broker.publish_json("payments", &Payment { id: "a".to_owned() });
    let _running = broker.start(consumer);
    let settled = timeout(Duration::from_secs(20), broker.settled("payments")).await;
    settled.expect("it is done or given up, and not tried for ever");
    broker
}

/// It must come to its end in the dead letters after so many attempts of two, for this reason.
async fn is_given_up<H: Handler<Message = Payment>>(
    scratch: &Scratch,
    handler: H,
    attempts: u32,
    reason: &str,
) {
    let broker = settled(scratch, handler, 2).await;
    let letters = broker.dead_letters("payments.dead");
    letters.expect_one().after_attempts(attempts);
    let last_error: String = sqlx::query_scalar("select last_error from inbox where state = 'x'")
        .fetch_one(scratch.pool())
        .await
        .expect("it is dead");
    assert!(last_error.contains(reason), "{last_error}");
}

#[tokio::test]
async fn a_handler_that_rolls_back_by_itself_has_not_succeeded() {
    let scratch = with_payments(scratch().await).await;
    is_given_up(&scratch, Then("rollback"), 1, "lent transaction").await;
    assert_eq!(booked(&scratch).await, 0);
}

#[tokio::test]
async fn a_handler_that_commits_by_itself_is_told() {
    let scratch = with_payments(scratch().await).await;
    is_given_up(&scratch, Then("commit"), 1, "lent transaction").await;
}

#[tokio::test]
async fn a_handler_that_begins_another_transaction_is_told() {
    let scratch = with_payments(scratch().await).await;
    let begins_anew = Then("rollback and chain");
    is_given_up(&scratch, begins_anew, 1, "lent transaction").await;
    assert_eq!(booked(&scratch).await, 0);
}

/// A rule of the user's that speaks at the commit, in words of its own.
#[tokio::test]
async fn a_deferred_trigger_that_refuses_is_a_failure_and_no_outage() {
    let scratch = with_payments(scratch().await).await;
    let rule = "create function refuse() returns trigger language plpgsql as
                    'begin raise exception ''the account is overdrawn''; end';
                create constraint trigger rule after insert on payments
                    deferrable initially deferred for each row execute function refuse()";
    sqlx::raw_sql(rule).execute(scratch.pool()).await.expect("a rule");
    is_given_up(&scratch, Then("select 1"), 2, "rolled back").await;
    assert_eq!(booked(&scratch).await, 0);
}

async fn with_little_patience() -> Scratch {
    let config = config().idle_in_transaction(Duration::from_millis(50)).expect("a number");
    with_payments(Scratch::with(config).await.expect("a schema")).await
}

#[tokio::test]
async fn a_transaction_left_idle_too_long_is_a_failure_and_no_outage() {
    let scratch = with_little_patience().await;
    is_given_up(&scratch, Dawdle { books_again: false }, 2, "idle").await;
    assert_eq!(booked(&scratch).await, 0);
}

#[tokio::test]
async fn a_statement_after_too_long_an_idleness_is_a_failure_and_no_outage() {
    let scratch = with_little_patience().await;
    is_given_up(&scratch, Dawdle { books_again: true }, 2, "").await;
    assert_eq!(booked(&scratch).await, 0);
}

/// The server did take writes, or it would not have lent it.
#[tokio::test]
async fn a_handler_that_makes_the_transaction_read_only_has_failed() {
    let scratch = with_payments(scratch().await).await;
    is_given_up(&scratch, Then("set transaction read only"), 2, "read-only").await;
    assert_eq!(booked(&scratch).await, 0);
}

/// What was left unread is not taken for the answer to the commit.
#[tokio::test]
async fn a_copy_that_failed_unnoticed_is_no_success() {
    let scratch = with_payments(scratch().await).await;
    let reason = "was not read to its end";
    is_given_up(&scratch, CopyBadly { to_savepoint: false }, 2, reason).await;
    assert_eq!(booked(&scratch).await, 0);
}

#[tokio::test]
async fn a_commit_behind_an_answer_that_nobody_read_is_found() {
    let scratch = with_payments(scratch().await).await;
    let broker = settled(&scratch, CopyBadly { to_savepoint: true }, 1).await;
    broker.dead_letters("payments.dead").expect_none();
    assert_eq!(booked(&scratch).await, 1);
}

#[tokio::test]
async fn a_copy_that_was_not_read_to_its_end_is_no_outage() {
    let scratch = with_payments(scratch().await).await;
    is_given_up(&scratch, ReadLittle { fails: true }, 2, "the bank is closed").await;
    assert_eq!(booked(&scratch).await, 0);
}

#[tokio::test]
async fn a_commit_behind_rows_that_nobody_read_is_found() {
    let scratch = with_payments(scratch().await).await;
    let broker = settled(&scratch, ReadLittle { fails: false }, 1).await;
    broker.dead_letters("payments.dead").expect_none();
    assert_eq!(booked(&scratch).await, 1);
}
