//! A schema whose clock stands still until it is told to go on: its functions are changed in nothing else, and a
//! busy machine does not change an answer.

use std::{sync::Arc, time::Duration};

use sqlx::AssertSqlSafe;
use steadfast::store::{Lent, Store};
use steadfast_conformance::store::StoreHarness;
use steadfast_postgres::{sqlx, testing::Scratch};
use tokio::sync::OnceCell;

use super::{effect, effects, with_effects};

/// A schema with such a clock, made at the first use.
#[derive(Default)]
pub(crate) struct StoppedClock(OnceCell<Scratch>);

impl StoppedClock {
    async fn scratch(&self) -> &Scratch {
        self.0.get_or_init(with_a_stopped_clock).await
    }
}

async fn with_a_stopped_clock() -> Scratch {
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
    scratch
}

impl StoreHarness for StoppedClock {
    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.scratch().await.store())
    }

    async fn pass(&self, time: Duration) {
        let pass = sqlx::query("update clock set at = at + $1 * interval '1 second'");
        let pass = pass.bind(time.as_secs_f64()).execute(self.scratch().await.pool());
        pass.await.expect("time passes");
    }

    async fn effect(&self, lent: &mut dyn Lent, name: &str) {
        effect(lent, name).await;
    }

    async fn effects(&self, name: &str) -> usize {
        effects(self.scratch().await, name).await
    }
}
