//! What the server can do at most: rows that nobody claims, put into the store's own table.

use std::fmt::Write as _;

use anyhow::Result;
use bench_measure::{progress, sample};
use sqlx::PgPool;

use crate::{
    inbox::{Inbox, Key, Ours},
    load,
    server::Server,
};

const ROUNDS: usize = 5;

/// Rows in a statement, and statements at the same time: as in the store.
const GROUP: usize = 512;
const LANES: usize = 4;

const GROUPED: &str = r#"
insert into inbox (scope, key, state, fence, owner, attempts, until, reap_at, retention, digest)
select 0, u.key, 'd', nextval('fence'), null, 1, now() + interval '7 days',
       now() + interval '7 days', 604800000000, u.digest
from unnest($1::bytea[], $2::bytea[]) as u(key, digest)
on conflict (scope, key) do nothing"#;

const COPY: &str = "copy inbox
    (scope, key, state, fence, owner, attempts, until, reap_at, retention, digest) from stdin";

pub(crate) async fn run(server: &Server) -> Result<()> {
    let scratch = server.scratch().await?;
    let ours = Ours::new(&scratch)?;
    let pool = server.pool(&scratch, LANES as u32)?;
    server.counters()?.checkpoint().await?;
    for round in 1..=ROUNDS {
        progress(&format!("limits, round {round} of {ROUNDS}"));
        let inbox = ours.clone();
        let message = move || {
            let inbox = inbox.clone();
            async move { inbox.message(rand::random()).await.map(drop) }
        };
        let done = load::run(GROUP, message).await?;
        sample("steadfast: claim and complete, 512 in flight", "rows/s", done.rate);
        let to = pool.clone();
        let done = load::run(LANES, move || grouped(to.clone())).await?;
        sample("one `insert` of 512 rows, 4 at a time", "rows/s", done.rate * GROUP as f64);
        let to = pool.clone();
        let done = load::run(LANES, move || copy(to.clone())).await?;
        sample("`COPY` of 512 rows, 4 at a time", "rows/s", done.rate * GROUP as f64);
    }
    Ok(())
}

async fn grouped(pool: PgPool) -> Result<()> {
    let mut keys: Vec<Key> = (0..GROUP).map(|_| rand::random()).collect();
    keys.sort_unstable();
    let digests: Vec<_> = keys.iter().map(|key| [*key, *key].concat()).collect();
    let keys: Vec<_> = keys.iter().map(Key::as_slice).collect();
    sqlx::query(GROUPED).bind(keys).bind(digests).execute(&pool).await?;
    Ok(())
}

async fn copy(pool: PgPool) -> Result<()> {
    let mut rows = String::new();
    for _ in 0..GROUP {
        let key = u128::from_le_bytes(rand::random());
        let until = "2100-01-01 00:00:00+00";
        writeln!(
            rows,
            "0\t\\\\x{key:032x}\td\t1\t\\N\t1\t{until}\t{until}\t604800000000\t\\\\x{key:032x}{key:032x}"
        )?;
    }
    let mut connection = pool.acquire().await?;
    let mut to = connection.copy_in_raw(COPY).await?;
    to.send(rows.into_bytes()).await?;
    to.finish().await?;
    Ok(())
}
