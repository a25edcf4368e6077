//! What one message waits for when it is alone.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context as _, Result};
use bench_measure::{progress, sample};
use sqlx::Executor as _;

use crate::{
    inbox::{ByHand, Key, Ours},
    server::Server,
};

const ROUNDS: usize = 5;
const MESSAGES: usize = 2_000;

/// Everything takes turns, message by message, so that all see the same disk and the same neighbours.
pub(crate) async fn run(server: &Server) -> Result<()> {
    let scratch = server.scratch().await?;
    let ours = Ours::new(&scratch)?;
    let pool = server.pool(&scratch, 1)?;
    let by_hand = ByHand::new(pool.clone()).await?;
    pool.execute("create table bare (key bytea)").await?;
    server.counters()?.checkpoint().await?;
    for round in 0..=ROUNDS {
        let mut times = Times::default();
        for _ in 0..MESSAGES {
            let key: Key = rand::random();
            times.take("`select 1`", sqlx::query("select 1").execute(&pool)).await?;
            let bare = sqlx::query("insert into bare values ($1)").bind(key.to_vec());
            times.take("commit of one row", bare.execute(&pool)).await?;
            let (id, token) = times.take("steadfast: claim", ours.claim(key)).await?;
            let token = token.context("a new key is granted")?;
            times.take("steadfast: complete", ours.complete(&id, &token)).await?;
            let owner = times.take("one row at a time: claim", by_hand.claim(key)).await?;
            let owner = owner.context("a new key is granted")?;
            times.take("one row at a time: complete", by_hand.complete(key, owner)).await?;
        }
        // The first one warms up.
        if round > 0 {
            progress(&format!("latency, round {round} of {ROUNDS}"));
            times.print();
        }
    }
    Ok(())
}

/// Microseconds, by what took them.
#[derive(Default)]
struct Times(BTreeMap<&'static str, Vec<f64>>);

impl Times {
    async fn take<T, E>(
        &mut self,
        what: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let began = Instant::now();
        let done = work.await;
        self.0.entry(what).or_default().push(began.elapsed().as_secs_f64() * 1e6);
        done
    }

    fn print(mut self) {
        for (what, times) in &mut self.0 {
            times.sort_by(f64::total_cmp);
            for (column, part) in [("p50 µs", 0.5), ("p99 µs", 0.99), ("p99.9 µs", 0.999)] {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "an index"
                )]
                let index = (times.len() as f64 * part) as usize;
                sample(what, column, times[index]);
            }
        }
    }
}
