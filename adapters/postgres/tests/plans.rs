//! The plans of the statements do not depend on what was counted in the table, and when.

mod support;

use futures::future::join_all;
use sqlx::AssertSqlSafe;
use steadfast::store::{Answer, Claim, Note, Store as _, Written};
use steadfast_postgres::{PostgresStore, sqlx, testing::Scratch};

use crate::support::{HOUR, claim, granted, id, scratch, stranger};

/// Rows that nothing asks for.
const ROWS: i64 = 50_000;

async fn run(scratch: &Scratch, statement: String) {
    sqlx::query(AssertSqlSafe(statement)).execute(scratch.pool()).await.expect("it runs");
}

/// Rows that were read through indexes, by sessions that have ended.
async fn read(scratch: &Scratch) -> i64 {
    let read = "select sum(idx_tup_read)::bigint from pg_stat_user_indexes
                where schemaname = current_schema() and relname = 'inbox'";
    sqlx::query_scalar(read).fetch_one(scratch.pool()).await.expect("statistics")
}

async fn sequential(scratch: &Scratch) -> i64 {
    let read = "select seq_tup_read from pg_stat_user_tables
                where schemaname = current_schema() and relname = 'inbox'";
    sqlx::query_scalar(read).fetch_one(scratch.pool()).await.expect("statistics")
}

/// Every statement, alone and in groups, with every kind of answer.
async fn every_statement(store: &PostgresStore, round: u32) {
    let key = |name: &str| format!("{round} {name}");
    let done = granted(store, key("done")).await.token;
    assert_eq!(
        store.extend(&id(key("done")), &done, HOUR).await.expect("it answers"),
        Written::Applied
    );
    assert_eq!(
        store.complete(&id(key("done")), &done).await.expect("it answers"),
        Written::Applied
    );
    assert_eq!(store.claim(&claim(key("done"))).await.expect("it answers"), Answer::Done);
    let dead = granted(store, key("dead")).await.token;
    let note = Note::new("transient");
    assert_eq!(
        store.bury(&id(key("dead")), &dead, &note).await.expect("it answers"),
        Written::Applied
    );
    assert_eq!(store.rearm(&id(key("dead")), None).await.expect("it answers"), Written::Applied);
    let nobody = stranger();
    assert_eq!(
        store.complete(&id(key("none")), &nobody).await.expect("it answers"),
        Written::Fenced
    );
    assert!(store.look(&id(key("dead"))).await.expect("it answers").is_some());
    let held = granted(store, key("held")).await.token;
    for _ in 0..3 {
        assert!(matches!(
            store.claim(&claim(key("held"))).await.expect("it answers"),
            Answer::Busy(_)
        ));
    }
    let mut lent = store.lend(&id(key("held")), &held).expect("it lends");
    let ours = lent.as_any_mut().downcast_mut::<steadfast_postgres::PostgresTransaction>();
    ours.expect("ours").open().await.expect("it begins");
    assert_eq!(lent.complete().await.expect("it answers"), Written::Applied);
    let group = || (0..64).map(|n| format!("{round} {n}"));
    let grants = join_all(group().map(|key| granted(store, key))).await;
    join_all(group().zip(&grants).map(async |(key, grant)| {
        let failed = store.fail(&id(key), &grant.token, HOUR, &Note::new("transient")).await;
        assert_eq!(failed.expect("it answers"), Written::Applied);
    }))
    .await;
    // Expired at once, and seen by the reaper.
    let mut short: Claim = claim(key("short"));
    short.retention = std::time::Duration::ZERO;
    let Answer::Granted(grant) = store.claim(&short).await.expect("it answers") else {
        panic!("not granted")
    };
    assert_eq!(
        store.complete(&short.id, &grant.token).await.expect("it answers"),
        Written::Applied
    );
    assert_eq!(store.reap(100).await.expect("it answers"), 1);
}

/// A table that was vacuumed, or analysed, while it was empty looks to the planner like one page for ever
/// after, and plans are made once a session.
#[tokio::test]
async fn no_statement_reads_the_table_that_grew_since_it_was_counted() {
    let scratch = scratch().await;
    run(&scratch, "vacuum analyze inbox".to_owned()).await;
    let store = PostgresStore::connect(scratch.config()).await.expect("it is there");
    // Plans are made here.
    for round in 0..10 {
        every_statement(&store, round).await;
    }
    run(
        &scratch,
        format!(
            "insert into inbox (scope, key, state, fence, attempts, until, reap_at, retention)
             select (select min(id) from scopes), int4send(n), 'd', 0, 1, now() + interval '1 day',
                    now() + interval '1 day', 0
             from generate_series(1, {ROWS}) as n"
        ),
    )
    .await;
    for round in 10..20 {
        every_statement(&store, round).await;
    }
    // A session hands in its counts at its end at the latest.
    drop(store);
    let gone = "select count(*) = 0 from pg_stat_activity
                where application_name = 'steadfast' and query like '%' || current_schema() || '%'
                  and pid <> pg_backend_pid()";
    support::until(&scratch, "the store's sessions to end", gone).await;
    let (read, sequential) = (read(&scratch).await, sequential(&scratch).await);
    // One scan of the index is 50,000 rows.
    assert!((1_000..20_000).contains(&read), "{read} rows were read through indexes");
    assert!(sequential < 10_000, "{sequential} rows were read without");
}
