//! PostgreSQL as tests use it: killed, started again, and found by others.

use std::path::PathBuf;

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use steadfast_test_servers::{Postgres, postgres_url};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("servers").join(name)
}

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL of PostgreSQL");
    PgConnection::connect_with(&options).await.expect("it takes connections")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_survives_an_immediate_kill_and_the_address_stays() {
    let mut server = Postgres::start(folder("killed")).expect("it starts");
    let url = server.url().to_owned();
    let mut connection = connect(&url).await;
    sqlx::raw_sql(
        "DROP TABLE IF EXISTS kept; CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)",
    )
    .execute(&mut connection)
    .await
    .expect("it can write");

    for round in 0..3 {
        match round {
            0 => server.kill_immediately().expect("it is killed"),
            1 => server.kill().expect("it is killed"),
            _ => server.stop().expect("it stops"),
        }
        sqlx::query("SELECT 1").execute(&mut connection).await.expect_err("it is gone");
        server.start_again().expect("it starts again");
        assert_eq!(server.url(), url);
        connection = connect(&url).await;
        let kept: i32 = sqlx::query_scalar("SELECT n FROM kept")
            .fetch_one(&mut connection)
            .await
            .expect("the row is there");
        assert_eq!(kept, 7);
    }
}

#[test]
fn a_second_start_in_the_same_folder_is_the_same_server() {
    let first = Postgres::start(folder("twice")).expect("it starts");
    let second = Postgres::start(folder("twice")).expect("it is found");
    assert_eq!((first.url(), first.pid()), (second.url(), second.pid()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_has_what_its_primary_has_and_takes_writes_once_it_is_promoted() {
    let primary = Postgres::start(folder("primary")).expect("it starts");
    let mut there = connect(primary.url()).await;
    let write = "DROP TABLE IF EXISTS kept; CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)";
    sqlx::raw_sql(write).execute(&mut there).await.expect("it can write");
    let standby = primary.standby(folder("standby")).expect("it is copied");
    let mut here = connect(standby.url()).await;
    let kept: i32 =
        sqlx::query_scalar("SELECT n FROM kept").fetch_one(&mut here).await.expect("the row");
    assert_eq!(kept, 7);
    sqlx::query("DELETE FROM kept").execute(&mut here).await.expect_err("it is read-only");
    sqlx::query("SELECT pg_promote()").execute(&mut here).await.expect("it is promoted");
    sqlx::query("DELETE FROM kept").execute(&mut here).await.expect("it can write");
}

#[tokio::test]
async fn the_shared_server_is_durable_and_counts_statements() {
    let mut connection = connect(&postgres_url()).await;
    let mut show = async |setting: &'static str| {
        let statement = sqlx::AssertSqlSafe(format!("SHOW {setting}"));
        sqlx::query_scalar::<_, String>(statement)
            .fetch_one(&mut connection)
            .await
            .expect("it is set")
    };
    assert_eq!(show("fsync").await, "on");
    assert_eq!(show("listen_addresses").await, "127.0.0.1");
    assert_eq!(show("shared_preload_libraries").await, "pg_stat_statements");
}
