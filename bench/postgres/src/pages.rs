//! How full pages may be: room for new versions of rows costs space, and saves writing to indexes.

use anyhow::Result;
use bench_measure::{progress, sample};
use sqlx::{AssertSqlSafe, Row as _};

use crate::{
    inbox::{Inbox, Ours},
    load,
    server::Server,
};

const ROUNDS: usize = 3;
const MESSAGES: usize = 60_000;
const IN_FLIGHT: usize = 512;

pub(crate) async fn run(server: &Server) -> Result<()> {
    let shipped = shipped(server).await?;
    for round in 1..=ROUNDS {
        progress(&format!("pages, round {round} of {ROUNDS}"));
        let mut fills = vec![50, 60, 70, 90, 100];
        if !fills.contains(&shipped) {
            fills.push(shipped);
        }
        for fill in fills {
            let note = if fill == shipped { ", as shipped" } else { "" };
            measure(server, fill, &format!("fillfactor {fill}{note}")).await?;
        }
    }
    Ok(())
}

async fn shipped(server: &Server) -> Result<i32> {
    let scratch = server.scratch().await?;
    let option = "select option_value::int from pg_class, pg_options_to_table(reloptions)
                  where oid = 'inbox'::regclass and option_name = 'fillfactor'";
    Ok(sqlx::query_scalar(option).fetch_one(scratch.pool()).await?)
}

async fn measure(server: &Server, fill: i32, row: &str) -> Result<()> {
    let scratch = server.scratch().await?;
    let set = format!("alter table inbox set (fillfactor = {fill})");
    sqlx::query(AssertSqlSafe(set)).execute(scratch.pool()).await?;
    let counters = server.counters()?;
    counters.checkpoint().await?;
    let before = counters.wal_bytes().await?;
    let ours = Ours::new(&scratch)?;
    let took = load::count(IN_FLIGHT, MESSAGES, move |_| {
        let inbox = ours.clone();
        async move { inbox.message(rand::random()).await.map(drop) }
    })
    .await?;
    let written = counters.wal_bytes().await? - before;
    let messages = MESSAGES as f64;
    sample(row, "messages/s", messages / took.as_secs_f64());
    sample(row, "WAL bytes a message", written / messages);
    // A session hands in its counts when it has been idle for a second.
    let (hot, size) = loop {
        let counts = sqlx::query(
            "select n_tup_upd::float8, n_tup_hot_upd::float8, pg_table_size(relid)::float8
             from pg_stat_user_tables where relid = 'inbox'::regclass",
        );
        let counts = counts.fetch_one(scratch.pool()).await?;
        if counts.get::<f64, _>(0) >= messages {
            break (counts.get::<f64, _>(1) / counts.get::<f64, _>(0), counts.get::<f64, _>(2));
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    sample(row, "HOT updates %", hot * 100.0);
    sample(row, "bytes of table a record", size / messages);
    Ok(())
}
