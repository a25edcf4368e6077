//! A statement that outlives its handler is told from a server that is gone, by its sessions. In doubt the
//! statement was a long one, and the attempt counts: what is taken for an outage is tried for ever.

mod support;

use std::{str::FromStr as _, time::Duration};

use sqlx::{Executor as _, postgres::PgConnectOptions};
use steadfast::store::Store as _;
use steadfast_postgres::{Config, PostgresStore, PostgresTransaction, sqlx, testing::Scratch};
use tokio::time::timeout;

use crate::support::{granted, id, scratch, url};

/// Runs these in a lent transaction, and then one that is given up. It must not be taken for an outage.
async fn counts(store: &PostgresStore, statements: &'static str) {
    let token = granted(store, "long").await.token;
    let mut lent = store.lend(&id("long"), &token).expect("it lends");
    let ours = lent.as_any_mut().downcast_mut::<PostgresTransaction>().expect("ours");
    let transaction = ours.open().await.expect("a transaction");
    sqlx::raw_sql(statements).execute(&mut **transaction).await.expect("statements");
    let long = transaction.execute("select pg_sleep(60)");
    assert!(timeout(Duration::from_millis(200), long).await.is_err(), "it runs on");
    let ended = timeout(Duration::from_secs(30), lent.roll_back()).await;
    ended.expect("it is not waited for").expect("no outage");
}

/// A store in the schema, reached with these options.
async fn store(scratch: &Scratch, options: PgConnectOptions) -> PostgresStore {
    let config = Config::with(options).schema(scratch.schema());
    let config = config.and_then(|config| config.lanes(1)?.transactions(1)).expect("numbers");
    PostgresStore::connect(&config).await.expect("it connects")
}

fn options() -> PgConnectOptions {
    PgConnectOptions::from_str(&url()).expect("a URL")
}

async fn run(scratch: &Scratch, statements: String) {
    let run = sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(scratch.pool());
    run.await.expect("the statements of a test");
}

#[tokio::test]
async fn a_statement_that_outlives_its_handler() {
    let scratch = scratch().await;
    counts(&scratch.store(), "select 1").await;
}

/// It is in no transaction that is as old as the lent one. The role is its own, so that no other session counts
/// but the store's, at rest since before.
#[tokio::test]
async fn a_statement_of_a_handler_that_has_ended_the_transaction() {
    let scratch = scratch().await;
    let roles = Roles::make(&scratch).await;
    run(&scratch, format!("alter role {} reset role", roles.login)).await;
    let store = store(&scratch, options().username(&roles.login)).await;
    counts(&store, "select pg_sleep(2); commit").await;
    drop(store);
    roles.drop(&scratch).await;
}

/// The role that it becomes may see nothing of the one that it came as.
#[tokio::test]
async fn a_statement_in_a_session_that_is_hidden() {
    let scratch = scratch().await;
    let roles = Roles::make(&scratch).await;
    let store = store(&scratch, options().username(&roles.login)).await;
    counts(&store, "select 1").await;
    drop(store);
    roles.drop(&scratch).await;
}

/// A role that becomes another one when it logs in, and may use the schema.
struct Roles {
    login: String,
    role: String,
}

impl Roles {
    async fn make(scratch: &Scratch) -> Self {
        let schema = scratch.schema();
        let (login, role) = (format!("l_{schema}"), format!("r_{schema}"));
        let make = format!(
            "create role {role};
             create role {login} login in role {role};
             alter role {login} set role {role};
             grant usage on schema {schema} to {role};
             grant all on all tables in schema {schema} to {role};
             grant all on all sequences in schema {schema} to {role}"
        );
        run(scratch, make).await;
        Self { login, role }
    }

    async fn drop(self, scratch: &Scratch) {
        let both = format!("{}, {}", self.login, self.role);
        run(scratch, format!("drop owned by {both}; drop role {both}")).await;
    }
}

/// A server that answers is there, whatever it answers.
#[tokio::test]
async fn a_statement_on_a_server_that_refuses_to_tell() {
    let scratch = scratch().await;
    // Found in place of the server's own.
    run(&scratch, "create table pg_stat_activity ()".to_owned()).await;
    let path = format!("{},pg_catalog", scratch.schema());
    let store = store(&scratch, options().options([("search_path", path)])).await;
    counts(&store, "select 1").await;
}
