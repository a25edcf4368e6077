//! What the records cost the server: how they are found, rewritten and removed.

mod support;

use std::time::Duration;

use futures::future::join_all;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use steadfast::store::{Answer, Store as _, Written};
use steadfast_postgres::{sqlx, testing::Scratch};

use crate::support::{claim, granted, id, scratch, until};

/// A million rows are as cheap to search as ten, if nobody reads them all. The statements run with the
/// plans that they had in an empty table, which a server keeps until it has counted the rows.
#[tokio::test]
async fn no_statement_reads_the_table_whatever_was_counted_in_it() {
    let scratch = scratch().await;
    let store = scratch.store();
    for n in 0..20 {
        let token = granted(&store, n).await.token;
        assert_eq!(store.complete(&id(n), &token).await.unwrap(), Written::Applied);
        assert_eq!(store.claim(&claim(n)).await.unwrap(), Answer::Done);
    }
    assert_eq!(store.reap(10).await.unwrap(), 0);
    let scans = "select seq_tup_read = 0 and idx_scan > 80 from pg_stat_user_tables
                 where schemaname = current_schema() and relname = 'inbox'";
    // The statistics of a session come when it has time.
    until(&scratch, "all statements to use an index", scans).await;
}

#[tokio::test]
async fn completions_are_hot_updates() {
    let scratch = scratch().await;
    let store = scratch.store();
    for round in 0..20 {
        let keys = || (0..100).map(|n| format!("{round} {n}"));
        let grants = join_all(keys().map(|key| granted(&store, key))).await;
        join_all(keys().zip(&grants).map(async |(key, grant)| {
            assert_eq!(store.complete(&id(key), &grant.token).await.unwrap(), Written::Applied);
        }))
        .await;
    }
    let hot = "select n_tup_upd = 2000 and n_tup_hot_upd >= 1900 from pg_stat_user_tables
               where schemaname = current_schema() and relname = 'inbox'";
    until(&scratch, "nearly all completions to be HOT", hot).await;
}

async fn ended(scratch: &Scratch, keys: impl Iterator<Item = u32>, retention: Duration) {
    let store = &scratch.store();
    join_all(keys.map(async |key| {
        let mut claim = claim(key);
        claim.retention = retention;
        let answer = store.claim(&claim).await.expect("it answers");
        let Answer::Granted(grant) = answer else { panic!("not granted: {answer:?}") };
        let written = store.complete(&id(key), &grant.token).await.expect("it answers");
        assert_eq!(written, Written::Applied);
    }))
    .await;
}

#[tokio::test]
async fn many_batches_are_reaped_and_the_rest_is_left() {
    let scratch = scratch().await;
    ended(&scratch, 0..1200, Duration::ZERO).await;
    ended(&scratch, 1200..1210, Duration::from_secs(3600)).await;
    // Unfinished, and its time came long ago.
    let mut unfinished = claim("unfinished");
    unfinished.retention = Duration::ZERO;
    let store = scratch.store();
    assert!(matches!(store.claim(&unfinished).await.unwrap(), Answer::Granted(_)));
    assert_eq!(store.reap(1100).await.unwrap(), 1100);
    assert_eq!(store.reap(usize::MAX).await.unwrap(), 100);
    assert_eq!(store.reap(usize::MAX).await.unwrap(), 0);
    let left: i64 =
        sqlx::query_scalar("select count(*) from inbox").fetch_one(scratch.pool()).await.unwrap();
    assert_eq!(left, 11);
}

#[tokio::test]
async fn reapers_that_meet_share_the_work_and_wait_for_nobody() {
    let scratch = scratch().await;
    ended(&scratch, 0..1000, Duration::ZERO).await;
    let mut other = scratch.pool().begin().await.unwrap();
    let lock = "select from inbox where key = '7' for update";
    sqlx::query(lock).execute(&mut *other).await.unwrap();
    let store = scratch.store();
    let removed = join_all((0..4).map(|_| store.reap(usize::MAX))).await;
    assert_eq!(removed.into_iter().map(Result::unwrap).sum::<usize>(), 999);
    other.rollback().await.unwrap();
    assert_eq!(store.reap(usize::MAX).await.unwrap(), 1);
}

/// What an operator wants to see before the table has doubled.
#[tokio::test]
async fn the_age_of_the_oldest_transaction_is_measured() {
    let scratch = scratch().await;
    let mut open =
        scratch.pool().begin_with("begin isolation level repeatable read").await.unwrap();
    // It has to be a moment old to be seen.
    sqlx::query("select pg_sleep(0.2)").execute(&mut *open).await.unwrap();
    assert!(age_of_the_oldest(&scratch).await >= 0.2);
}

#[tokio::test]
async fn a_transaction_that_was_prepared_and_forgotten_shows_its_age() {
    let scratch = scratch().await;
    let name = scratch.schema();
    let mut connection = scratch.pool().acquire().await.unwrap();
    for statement in ["begin", "create table t ()", &format!("prepare transaction '{name}'")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await.unwrap();
    }
    sqlx::query("select pg_sleep(0.2)").execute(&mut *connection).await.unwrap();
    let age = age_of_the_oldest(&scratch).await;
    let rollback = sqlx::AssertSqlSafe(format!("rollback prepared '{name}'"));
    sqlx::raw_sql(rollback).execute(&mut *connection).await.unwrap();
    assert!(age >= 0.2, "{age}");
}

/// As a reaper tells it.
async fn age_of_the_oldest(scratch: &Scratch) -> f64 {
    let recorder = DebuggingRecorder::new();
    let _recording = metrics::set_default_local_recorder(&recorder);
    assert_eq!(scratch.store().reap(1).await.expect("the server is there"), 0);
    let measured = recorder.snapshotter().snapshot().into_vec();
    let age = measured.iter().find_map(|(key, _, _, value)| match value {
        DebugValue::Gauge(age) if key.key().name() == GAUGE => Some(age.into_inner()),
        _ => None,
    });
    age.expect("it is measured")
}

const GAUGE: &str = "steadfast_postgres_oldest_transaction_seconds";
