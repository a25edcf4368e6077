//! The schema is made, checked at start, and worked with by a role that may do little.

mod support;

use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use steadfast::store::{Store as _, Written};
use steadfast_postgres::{
    Config, ConnectError, PostgresStore, PostgresTransaction, migrate, sqlx, testing::Scratch,
};

use crate::support::{config, granted, id, scratch, url};

async fn run(scratch: &Scratch, statements: &str) {
    let statements = statements.to_owned();
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(scratch.pool()).await;
    done.expect("the statements of a test");
}

/// What a store says that is connected now.
async fn refused(config: &Config) -> ConnectError {
    PostgresStore::connect(config).await.expect_err("it is refused")
}

#[tokio::test]
async fn migrating_again_or_at_the_same_time_does_nothing() {
    let scratch = scratch().await;
    let store = scratch.store();
    let token = granted(&store, "kept").await.token;
    let (one, other) = tokio::join!(migrate(scratch.config()), migrate(scratch.config()));
    one.and(other).expect("both find nothing to do");
    assert_eq!(store.complete(&id("kept"), &token).await.unwrap(), Written::Applied);
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_refused_with_the_way_to_make_it() {
    let words = refused(&config().schema("nobody_made_this").unwrap()).await.to_string();
    assert!(words.contains("nobody_made_this") && words.contains("migrate"), "{words}");
}

#[tokio::test]
async fn another_version_of_the_schema_is_refused() {
    let scratch = scratch().await;
    run(&scratch, "update migrations set version = 1000").await;
    let words = refused(scratch.config()).await.to_string();
    assert!(words.contains("version 1000") && words.contains("newer program"), "{words}");
    let error = migrate(scratch.config()).await.expect_err("it is another program's schema");
    assert!(matches!(error, ConnectError::Migration { .. }), "{error}");
    run(&scratch, "update migrations set version = 0").await;
    let words = refused(scratch.config()).await.to_string();
    assert!(words.contains("version 0") && words.contains("migrate`"), "{words}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let config = Config::new("postgres://someone:hunter2@127.0.0.1:1/none").unwrap();
    let error = refused(&config).await;
    let words = format!("{error} {error:?}");
    assert!(words.contains("127.0.0.1:1") && !words.contains("hunter2"), "{words}");
    let words = migrate(&config).await.expect_err("it is not there").to_string();
    assert!(words.contains("127.0.0.1:1"), "{words}");
}

#[tokio::test]
async fn a_session_that_is_not_read_committed_is_refused() {
    let options = PgConnectOptions::from_str(&url()).unwrap();
    let options = options.options([("default_transaction_isolation", "repeatable read")]);
    let words = refused(&Config::with(options)).await.to_string();
    assert!(words.contains("repeatable read") && words.contains("alter role"), "{words}");
}

/// A record that a crash of the server forgets is a message that runs twice, or, after a redrive, never.
#[tokio::test]
async fn every_end_is_durable_whatever_the_session_says() {
    let scratch = scratch().await;
    let schema = scratch.schema();
    let held = r"with s as (insert into scopes (name) values ('a/b/0') returning id)
        insert into inbox (scope, attempts, fence, until, reap_at, retention, state, key, owner)
        select id, 1, 1, now(), now(), 0, 'p', '\x02', md5('')::uuid from s";
    for call in [
        r"claim(array['a/b/0'], array[1], array['\x01'::bytea], array[md5('')::uuid],
                array['\x00'::bytea], array[1000000], array[1000000], false)",
        r#"write(array['a/b/0'], array[1], array['\x01'::bytea], array[md5('')::uuid], array[1],
                array['d'::"char"], array[0], array[null]::text[])"#,
        r"rearm('a/b/0', '\x01', null)",
        r"finish('a/b/0', '\x02', md5('')::uuid, 1)",
    ] {
        let mut transaction = scratch.pool().begin().await.unwrap();
        sqlx::query("set local synchronous_commit = off").execute(&mut *transaction).await.unwrap();
        sqlx::query(held).execute(&mut *transaction).await.unwrap();
        sqlx::query("select lend(1000, 0)").execute(&mut *transaction).await.unwrap();
        let call = sqlx::AssertSqlSafe(format!("select {schema}.{call}"));
        sqlx::query(call).execute(&mut *transaction).await.unwrap();
        let commit: String = sqlx::query_scalar("select current_setting('synchronous_commit')")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        assert_eq!(commit, "on");
        transaction.rollback().await.unwrap();
    }
}

/// The statements that `docs/postgres.md` tells a DBA to run.
fn grants(schema: &str, role: &str) -> String {
    let docs = include_str!("../../../docs/postgres.md");
    let (_, rest) = docs.split_once("<!-- grants -->\n```sql\n").expect("the grants are there");
    let (grants, _) = rest.split_once("```").expect("they end");
    grants.replace("steadfast", schema).replace("billing", role)
}

/// A role that may do nothing, and what connects as it.
async fn role(scratch: &Scratch) -> (String, Config) {
    let role = format!("r_{}", scratch.schema());
    run(scratch, &format!("create role {role} login")).await;
    let options = PgConnectOptions::from_str(&url()).expect("a URL").username(&role);
    (role, Config::with(options).schema(scratch.schema()).expect("a name"))
}

#[tokio::test]
async fn each_grant_that_is_missing_is_found_at_start() {
    let scratch = scratch().await;
    let (role, config) = role(&scratch).await;
    let grants = grants(scratch.schema(), &role);
    run(&scratch, &grants).await;
    let to_role = format!(" to {role};");
    for grant in grants.lines() {
        let grant = grant.strip_prefix("grant ").and_then(|grant| grant.strip_suffix(&to_role));
        let (privileges, object) = grant.and_then(|g| g.split_once(" on ")).expect("a grant");
        for privilege in privileges.split(", ") {
            run(&scratch, &format!("revoke {privilege} on {object} from {role}")).await;
            let words = refused(&config).await.to_string();
            assert!(words.contains(&role), "without {privilege} on {object}: {words}");
            run(&scratch, &format!("grant {privilege} on {object} to {role}")).await;
        }
    }
    PostgresStore::connect(&config).await.expect("nothing is missing");
    run(&scratch, &format!("drop owned by {role}; drop role {role}")).await;
}

#[tokio::test]
async fn a_role_with_the_documented_grants_and_no_more_does_everything() {
    let scratch = scratch().await;
    let (role, config) = role(&scratch).await;
    run(&scratch, "create table effects (n int)").await;

    let words = refused(&config).await.to_string();
    assert!(words.contains(&role) && words.contains("docs/postgres.md"), "{words}");

    run(&scratch, &grants(scratch.schema(), &role)).await;
    run(&scratch, &format!("grant insert on effects to {role}")).await;
    let store = PostgresStore::connect(&config).await.expect("it may");
    let token = granted(&store, "by a role").await.token;
    let mut lent = store.lend(&id("by a role"), &token).unwrap();
    let ours = lent.as_any_mut().downcast_mut::<PostgresTransaction>().unwrap();
    let insert = format!("insert into {}.effects values (1)", scratch.schema());
    sqlx::query(sqlx::AssertSqlSafe(insert))
        .execute(&mut **ours.open().await.unwrap())
        .await
        .unwrap();
    assert_eq!(lent.complete().await.unwrap(), Written::Applied);
    assert!(store.look(&id("by a role")).await.unwrap().is_some());
    assert_eq!(store.rearm(&id("by a role"), None).await.unwrap(), Written::Fenced);
    assert_eq!(store.reap(10).await.unwrap(), 0);
    drop(store);
    run(&scratch, &format!("drop owned by {role}; drop role {role}")).await;
}
