//! Random histories agree with the store in memory, so that what is tested there is what happens
//! here.
//!
//! The functions of the schema get a clock that stands still until it is told to go on: nothing else
//! is changed in them, and a busy machine does not change an answer.

mod support;

use std::{sync::Arc, time::Duration};

use sqlx::AssertSqlSafe;
use steadfast::store::{Lent, Store};
use steadfast_conformance::store::{MemoryHarness, StoreHarness, history};
use steadfast_postgres::{sqlx, testing::Scratch};
use tokio::task::JoinSet;

use crate::support::{effect, effects, with_effects};

struct Harness(Scratch);

impl Harness {
    async fn new() -> Self {
        let scratch = with_effects().await;
        let schema = scratch.schema();
        let run = async |statements: String| {
            let run = sqlx::raw_sql(AssertSqlSafe(statements));
            run.execute(scratch.pool()).await.expect("the clock is set");
        };
        run(format!(
            "create table clock (at timestamptz not null);
             insert into clock values (clock_timestamp());
             create function {schema}.now() returns timestamptz language plpgsql volatile as
                 'begin return (select at from {schema}.clock); end';"
        ))
        .await;
        let functions = "select pg_get_functiondef(oid) from pg_proc
                         where pronamespace = current_schema()::regnamespace
                           and prosrc like '%clock\\_timestamp()%'";
        let functions: Vec<String> =
            sqlx::query_scalar(functions).fetch_all(scratch.pool()).await.expect("functions");
        assert_eq!(functions.len(), 5, "claim, write, finish, rearm, reap");
        for function in functions {
            run(function.replace("clock_timestamp()", &format!("{schema}.now()"))).await;
        }
        Self(scratch)
    }
}

impl StoreHarness for Harness {
    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.store())
    }

    async fn pass(&self, time: Duration) {
        let pass = sqlx::query("update clock set at = at + $1 * interval '1 second'");
        pass.bind(time.as_secs_f64()).execute(self.0.pool()).await.expect("time passes");
    }

    async fn effect(&self, lent: &mut dyn Lent, name: &str) {
        effect(lent, name).await;
    }

    async fn effects(&self, name: &str) -> usize {
        effects(&self.0, name).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_agree_with_the_store_in_memory() {
    const AT_ONCE: usize = 8;
    let long = std::env::var_os("STEADFAST_LONG").is_some_and(|value| value == "1");
    let seeds = if long { 2000 } else { 64 };
    let mut running = JoinSet::new();
    for seed in 0..seeds {
        if running.len() == AT_ONCE {
            running.join_next().await.expect("one of them").expect("no history fails");
        }
        running.spawn(async move {
            let here = history::run(&Harness::new().await, seed, 300).await;
            assert_eq!(here, in_memory(seed).await, "seed {seed}");
        });
    }
    while let Some(history) = running.join_next().await {
        history.expect("no history fails");
    }
}

/// In a paused runtime of its own.
async fn in_memory(seed: u64) -> Vec<history::Step> {
    let run = move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(history::run(&MemoryHarness::new(), seed, 300))
    };
    tokio::task::spawn_blocking(run).await.expect("the history in memory")
}
