//! What happens at the same time travels together, and is answered apart.

mod support;

use std::{pin::pin, time::Duration};

use futures::{FutureExt as _, future::join_all};
use steadfast::store::{Answer, Note, State, Store as _, StoreError, Written};
use steadfast_postgres::{PostgresStore, sqlx, testing::Scratch};

use crate::support::{HOUR, claim, granted, id, scratch, stranger, until};

/// How often the server ran a function of this schema.
async fn statements(scratch: &Scratch, function: &str) -> i64 {
    let query = sqlx::query_scalar(
        "select coalesce(sum(calls), 0)::bigint from public.pg_stat_statements
         where query like 'select%' || $1 || '%' || $2 || '(%'",
    );
    let query = query.bind(scratch.schema().to_owned()).bind(function.to_owned());
    query.fetch_one(scratch.pool()).await.expect("pg_stat_statements is there")
}

async fn with_statistics() -> Scratch {
    let scratch = scratch().await;
    let create = "create extension if not exists pg_stat_statements schema public";
    // Fails where another test is doing the same.
    let _ = sqlx::query(create).execute(scratch.pool()).await;
    let there = "select to_regclass('public.pg_stat_statements') is not null";
    until(&scratch, "pg_stat_statements", there).await;
    scratch
}

#[tokio::test]
async fn a_lone_message_takes_a_statement_each_to_claim_and_to_complete() {
    let scratch = with_statistics().await;
    let store = scratch.store();
    let grant = granted(&store, "lone").await;
    assert_eq!(store.complete(&id("lone"), &grant.token).await.unwrap(), Written::Applied);
    assert_eq!(statements(&scratch, "claim").await, 1);
    assert_eq!(statements(&scratch, "write").await, 1);
}

#[tokio::test]
async fn under_load_hundreds_share_a_statement() {
    let scratch = with_statistics().await;
    let store = scratch.store();
    let grants = join_all((0..1000).map(|n| granted(&store, n))).await;
    let completed = join_all((0..1000).zip(&grants).map(|(n, grant)| {
        let store = &store;
        async move { store.complete(&id(n), &grant.token).await.unwrap() }
    }));
    assert!(completed.await.iter().all(|written| *written == Written::Applied));
    let sent = statements(&scratch, "claim").await + statements(&scratch, "write").await;
    assert!(sent <= 100, "{sent} statements for 1000 messages");
}

#[tokio::test]
async fn a_row_that_cannot_be_stored_fails_alone() {
    let scratch = scratch().await;
    let store = scratch.store();
    let grants = join_all((0..64).map(|n| granted(&store, n))).await;
    let written = join_all(grants.iter().enumerate().map(|(n, grant)| {
        let store = &store;
        let mut note = Note::new("transient");
        if n == 17 {
            note.error = "no text has a \0".to_owned();
        }
        async move { store.fail(&id(n), &grant.token, HOUR, &note).await }
    }));
    for (n, written) in written.await.into_iter().enumerate() {
        match written {
            Err(StoreError::Refused(_)) => assert_eq!(n, 17),
            written => assert_eq!(written.unwrap(), Written::Applied, "row {n}"),
        }
    }
    assert_eq!(store.look(&id(17)).await.unwrap().unwrap().state, State::InProgress);
}

/// A record that is there, and due.
async fn released(store: &PostgresStore, key: &str) {
    let token = granted(store, key).await.token;
    assert_eq!(store.release(&id(key), &token).await.expect("it answers"), Written::Applied);
}

#[tokio::test]
async fn a_locked_record_keeps_nobody_else_waiting() {
    let scratch = scratch().await;
    let store = scratch.store();
    released(&store, "locked").await;
    let mut other = scratch.pool().begin().await.unwrap();
    sqlx::query("select from inbox for update").execute(&mut *other).await.unwrap();
    let keys = (0..32).map(|n| n.to_string()).chain(["locked".to_owned()]);
    let answers = join_all(keys.map(|key| {
        let store = &store;
        async move { store.claim(&claim(key)).await.unwrap() }
    }));
    let answers = answers.await;
    let (others, locked) = answers.split_at(32);
    assert!(others.iter().all(|answer| matches!(answer, Answer::Granted(_))), "{others:?}");
    assert!(matches!(locked, [Answer::Busy(_)]), "{locked:?}");
    other.rollback().await.unwrap();
    assert_eq!(granted(&store, "locked").await.attempts, 1);
}

#[tokio::test]
async fn calls_of_one_record_that_meet_are_all_made() {
    let scratch = scratch().await;
    let store = scratch.store();
    let (first, id, stranger) = (granted(&store, "one").await.token, id("one"), stranger());
    let (extended, completed, again, fenced) = tokio::join!(
        store.extend(&id, &first, HOUR),
        store.complete(&id, &first),
        store.complete(&id, &first),
        store.complete(&id, &stranger),
    );
    let written = [extended, completed, again, fenced].map(Result::unwrap);
    use Written::{Applied, Fenced};
    assert_eq!(written, [Applied, Applied, Applied, Fenced]);
}

/// Its caller went away while it was asked for: nobody would ever complete it.
#[tokio::test]
async fn a_claim_that_is_granted_to_nobody_is_given_back() {
    let scratch = scratch().await;
    let store = scratch.store();
    let mut other = scratch.pool().begin().await.unwrap();
    for key in ["0 in the way", "1 given up"] {
        released(&store, key).await;
    }
    sqlx::query("select from inbox where key = '0 in the way' for update")
        .execute(&mut *other)
        .await
        .unwrap();
    // Both wait for the lock of the first, in one statement, when the second is given up.
    let in_the_way = claim("0 in the way");
    let given_up = claim("1 given up");
    {
        let mut given_up = pin!(store.claim(&given_up));
        let in_the_way = store.claim(&in_the_way);
        assert!(given_up.as_mut().now_or_never().is_none());
        let _ = tokio::join!(in_the_way, tokio::time::sleep(Duration::from_millis(50)));
    }
    other.rollback().await.unwrap();
    // The lease was for an hour.
    loop {
        match store.claim(&claim("1 given up")).await.unwrap() {
            Answer::Granted(grant) => break assert_eq!(grant.attempts, 1),
            Answer::Busy(_) => tokio::task::yield_now().await,
            other => panic!("{other:?}"),
        }
    }
}

/// Processes that were stopped between the end of their work and the commit keep their records locked:
/// duplicates of these are told that they are busy, without a wait for each.
#[tokio::test]
async fn many_locked_records_cost_their_duplicates_one_wait() {
    let scratch = scratch().await;
    let config = scratch.config().clone().lanes(1).expect("a number");
    let store = PostgresStore::connect(&config).await.expect("it is there");
    join_all((0..64).map(|n| granted(&store, n))).await;
    let mut other = scratch.pool().begin().await.unwrap();
    sqlx::query("update inbox set state = 'd', owner = null").execute(&mut *other).await.unwrap();
    let begun = std::time::Instant::now();
    let answers = join_all((0..64).map(|n| {
        let store = &store;
        async move { store.claim(&claim(n)).await.unwrap() }
    }));
    let answers = answers.await;
    // A wait is 300 ms: one for each would be more than nineteen seconds.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let held = |answer: &Answer| matches!(answer, Answer::Busy(wait) if *wait > HOUR / 2);
    assert!(answers.iter().all(held), "{answers:?}");
    other.rollback().await.unwrap();
}

/// As the one before, but their leases are over: a look alone does not tell that they are locked.
#[tokio::test]
async fn many_locked_records_whose_leases_are_over_cost_their_duplicates_one_wait() {
    let scratch = scratch().await;
    let config = scratch.config().clone().lanes(1).expect("a number");
    let store = PostgresStore::connect(&config).await.expect("it is there");
    join_all((0..64).map(|n| granted(&store, n))).await;
    let over = "update inbox set until = now() - interval '1 s'";
    sqlx::query(over).execute(scratch.pool()).await.unwrap();
    let mut other = scratch.pool().begin().await.unwrap();
    sqlx::query("select from inbox for update").execute(&mut *other).await.unwrap();
    let begun = std::time::Instant::now();
    let answers = join_all((0..128).map(|n| {
        let store = &store;
        async move { store.claim(&claim(n)).await.unwrap() }
    }));
    let answers = answers.await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let (locked, free) = answers.split_at(64);
    assert!(locked.iter().all(|answer| matches!(answer, Answer::Busy(_))), "{locked:?}");
    assert!(free.iter().all(|answer| matches!(answer, Answer::Granted(_))), "{free:?}");
    other.rollback().await.unwrap();
    assert_eq!(granted(&store, 0).await.attempts, 2);
}
