//! Ten thousand records against ten million.

use anyhow::{Result, ensure};
use bench_measure::{progress, sample};
use sqlx::{AssertSqlSafe, Executor as _};
use std::time::Instant;
use steadfast_postgres::testing::Scratch;

use crate::{
    inbox::{Inbox, Key, Ours},
    load,
    server::Server,
};

const ROUNDS: usize = 5;
const IN_FLIGHT: usize = 512;
const SIZES: [(&str, u32); 2] = [("10⁴ records", 10_000), ("10⁷ records", 10_000_000)];

/// Expired records that a round finds.
const EXPIRED: usize = 10_000;

pub(crate) async fn run(server: &Server) -> Result<()> {
    let mut tables = Vec::new();
    for (column, records) in SIZES {
        progress(&format!("size: filling a table with {column}"));
        let scratch = server.scratch().await?;
        let ours = Ours::new(&scratch)?;
        // Gives the scope its number.
        ours.message(rand::random()).await?;
        fill(&scratch, records).await?;
        tables.push((column, records, scratch, ours));
    }
    server.counters()?.checkpoint().await?;
    for round in 1..=ROUNDS {
        progress(&format!("size, round {round} of {ROUNDS}"));
        let mut rates = Vec::new();
        for (column, records, scratch, ours) in &tables {
            let records = *records;
            let new = rate(ours, rand::random).await?;
            let duplicates = rate(ours, move || filled(rand::random::<u32>() % records)).await?;
            let reaped = reap(scratch, ours).await?;
            let of_size = [
                ("claim and complete: messages/s", new),
                ("duplicates: messages/s", duplicates),
                ("reap: records/s", reaped),
            ];
            for (row, rate) in of_size {
                sample(row, column, rate);
            }
            rates.push(of_size);
        }
        for ((row, few), (_, many)) in rates[0].iter().zip(&rates[1]) {
            sample(row, "10⁷ by 10⁴", many / few);
        }
    }
    Ok(())
}

/// The key of a record that was filled in: spread over the whole index, as random identifiers are.
fn filled(number: u32) -> Key {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&number.wrapping_mul(2_654_435_769).to_be_bytes());
    key[12..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Fills a table with what is done and not expired, in the order of time; the indexes are made after
/// it, which is quicker.
async fn fill(scratch: &Scratch, records: u32) -> Result<()> {
    let fill = format!(
        r"alter table inbox drop constraint inbox_pkey;
          drop index inbox_reap_at;
          insert into inbox
              (scope, key, state, fence, owner, attempts, until, reap_at, retention, digest)
          select (select id from scopes), {key}, 'd', n, null, 1,
                 now() + interval '1 day' + n * interval '10 ms',
                 now() + interval '1 day' + n * interval '10 ms', 604800000000, {key} || {key}
          from generate_series(0, {last}) as n;
          alter table inbox add constraint inbox_pkey primary key (scope, key);
          create index inbox_reap_at on inbox (reap_at)",
        key = r"int4send((n * 2654435769 % 4294967296 - case
                  when n * 2654435769 % 4294967296 >= 2147483648 then 4294967296 else 0 end)::int)
                || '\x0000000000000000'::bytea || int4send(n::int)",
        last = records - 1,
    );
    let mut connection = scratch.pool().acquire().await?;
    connection.execute("set maintenance_work_mem = '1GB'").await?;
    connection.execute(AssertSqlSafe(fill)).await?;
    connection.execute("vacuum (analyze) inbox").await?;
    connection.execute("reset maintenance_work_mem").await?;
    Ok(())
}

async fn rate(ours: &Ours, key: impl Fn() -> Key + Clone + Send + Sync + 'static) -> Result<f64> {
    let inbox = ours.clone();
    let message = move || {
        let (inbox, key) = (inbox.clone(), key());
        async move { inbox.message(key).await.map(drop) }
    };
    Ok(load::run(IN_FLIGHT, message).await?.rate)
}

/// Records a second that the reaper removes, of some that have expired among all the others.
async fn reap(scratch: &Scratch, ours: &Ours) -> Result<f64> {
    let expired = format!(
        "insert into inbox (scope, key, state, fence, attempts, until, reap_at, retention, digest)
         select 0, uuid_send(gen_random_uuid()), 'd', 1, 1, now() - n * interval '1 ms',
                now() - n * interval '1 ms', 0, '\\x00'
         from generate_series(1, {EXPIRED}) as n"
    );
    scratch.pool().execute(AssertSqlSafe(expired)).await?;
    let began = Instant::now();
    let removed = ours.reap(EXPIRED).await?;
    let took = began.elapsed();
    ensure!(removed == EXPIRED, "{removed} of {EXPIRED} expired records were removed");
    Ok(EXPIRED as f64 / took.as_secs_f64())
}
