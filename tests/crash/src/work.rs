//! One worker: a consumer on the round's broker, with the round's store.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use steadfast::{Backoff, BreakerPolicy, Consumer, DedupKey, OrderedBy, Retry, Shutdown};
use steadfast_postgres::{Config, PostgresStore, sqlx::postgres::PgPoolOptions};

use crate::{
    Ledger, Mode, Plan, feed,
    handler::Work,
    line::{Event, say},
    plan::Task,
    point::Points,
    witness::Witness,
};

/// Consumes until SIGTERM. It waits for a database that is down.
///
/// # Errors
/// When the consumer cannot start, or ends by itself.
pub async fn work(plan: Plan) -> Result<()> {
    let shutdown = Shutdown::on_signal().context("cannot listen for signals")?;
    say(Event::Started, "", 0);
    let config = Config::new(&plan.store)?.schema(&plan.schema)?;
    // A worker that is stopped within its commit keeps the record locked for so long.
    let config = config.lanes(2)?.transactions(8)?.idle_in_transaction(3 * plan.lease)?;
    let store = loop {
        match PostgresStore::connect(&config).await {
            Ok(store) => break store,
            Err(error) => eprintln!("worker {}: {error}", plan.worker),
        }
        tokio::select! {
            () = shutdown.started() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    };
    let connections = u32::try_from(plan.concurrency)?;
    let pool = PgPoolOptions::new().max_connections(connections).connect_lazy(&plan.store)?;
    let points = Arc::new(Points::new(plan.fault));
    let work = Work {
        plan: plan.clone(),
        points: Arc::clone(&points),
        ledger: Ledger::new(&plan.schema),
        pool,
    };

    let mut retry = Retry::with_backoff(Backoff::fixed(Duration::from_millis(50)));
    if plan.retries_leave() {
        retry = retry.in_place_up_to(Duration::ZERO);
    }
    let probes = Backoff::exponential(Duration::from_millis(100), Duration::from_millis(500));
    let mut consumer = Consumer::builder(Plan::CONSUMER, work)
        .source(plan.topic())
        .group(plan.group())
        .dead_letter(plan.dead_letters())
        .store(Witness { store: Arc::new(store), points })
        .dedup_key(DedupKey::of(|task: &Task| Plan::key(task.number)))
        .retry(retry.max_attempts(plan.max_attempts))
        .breaker(BreakerPolicy::default().probes(probes))
        .concurrency(plan.concurrency)
        .timeout(Duration::from_secs(10))
        .lease(plan.lease);
    if plan.mode == Mode::Transactional {
        consumer = consumer.transactional();
    }
    if plan.ordered {
        consumer = consumer.ordered_by(OrderedBy::Key);
    }
    consumer.build(feed::open(&plan).await?)?.run(shutdown).await.context("the consumer ended")
}
