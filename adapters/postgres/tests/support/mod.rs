//! What the tests share.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod clock;

use std::time::Duration;

use steadfast::store::{
    Answer, Claim, Digest, Grant, Key, Lent, Owner, RecordId, Scope, Store as _, Token,
};
use steadfast_postgres::{Config, PostgresStore, PostgresTransaction, sqlx, testing::Scratch};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A schema of its own on the test server.
pub(crate) async fn scratch() -> Scratch {
    Scratch::with(config()).await.expect("a schema on the test server")
}

/// How to reach the test server, with few connections: many tests share it.
pub(crate) fn config() -> Config {
    let config = Config::new(&url()).and_then(|config| config.lanes(2)?.transactions(4));
    config.expect("the URL of the test server can be read")
}

/// The test server's.
pub(crate) fn url() -> String {
    steadfast_test_servers::postgres_url()
}

pub(crate) fn id(key: impl ToString) -> RecordId {
    let scope = Scope::new("test", "test", 0).expect("a scope");
    RecordId::new(scope, Key::new(key.to_string()).expect("a key"))
}

/// A newcomer's claim for an hour.
pub(crate) fn claim(key: impl ToString) -> Claim {
    Claim::new(id(key), Digest::of(None), HOUR, HOUR)
}

pub(crate) async fn granted(store: &PostgresStore, key: impl ToString) -> Grant {
    match store.claim(&claim(key)).await.expect("the store answers") {
        Answer::Granted(grant) => grant,
        other => panic!("not granted: {other:?}"),
    }
}

/// A token that holds nothing.
pub(crate) fn stranger() -> Token {
    Token::new(Owner::random(), u64::MAX / 4)
}

/// Waits until a query for a truth value says so.
pub(crate) async fn until(scratch: &Scratch, what: &str, query: &'static str) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !sqlx::query_scalar::<_, bool>(query)
            .fetch_one(scratch.pool())
            .await
            .expect("the test server answers")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited a minute for {what}"));
}

/// A schema with a table for the effects of the conformance suite.
pub(crate) async fn with_effects() -> Scratch {
    let scratch = scratch().await;
    let table = sqlx::query("create table effects (name text not null)");
    table.execute(scratch.pool()).await.expect("a table for effects");
    scratch
}

/// Makes an effect in a lent transaction.
pub(crate) async fn effect(lent: &mut dyn Lent, name: &str) {
    let lent = lent.as_any_mut().downcast_mut::<PostgresTransaction>().expect("ours");
    let transaction = lent.open().await.expect("a transaction");
    let insert = sqlx::query("insert into effects values ($1)").bind(name.to_owned());
    insert.execute(&mut **transaction).await.expect("an effect");
}

/// Counts the effects of a name.
pub(crate) async fn effects(scratch: &Scratch, name: &str) -> usize {
    let count = sqlx::query_scalar::<_, i64>("select count(*) from effects where name = $1");
    let count = count.bind(name.to_owned()).fetch_one(scratch.pool()).await;
    usize::try_from(count.expect("a count")).expect("a count is not negative")
}

/// The server's processes, which say nothing for as long as this lives.
pub(crate) struct Stopped(Vec<i32>);

impl Stopped {
    pub(crate) fn new(pids: Vec<i32>) -> Self {
        let stopped = Self(pids);
        stopped.signal("-STOP");
        stopped
    }

    fn signal(&self, signal: &str) {
        let mut kill = std::process::Command::new("kill");
        let _ = kill.arg(signal).args(self.0.iter().map(i32::to_string)).status();
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}
