//! The worker's handler: one row in the ledger for each message.

use std::{sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use steadfast::{Context, Handler, HandlerError};
use steadfast_postgres::{PostgresContext as _, sqlx::PgPool};

use crate::{
    Entry, Ledger, Mode, Plan, Poison,
    line::{Event, say},
    plan::Task,
    point::{Point, Points},
};

pub(crate) struct Work {
    pub(crate) plan: Plan,
    pub(crate) points: Arc<Points>,
    pub(crate) ledger: Ledger,
    /// For effects that are not in the lent transaction.
    pub(crate) pool: PgPool,
}

impl Handler for Work {
    type Message = Task;

    async fn handle(&self, task: Task, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let (key, fence) = (Plan::key(task.number), cx.fence().unwrap_or_default());
        let mut chance =
            StdRng::seed_from_u64(self.plan.seed ^ (u64::from(task.number) << 32) ^ fence);
        // The attempt has a length before and after the effect, so that others' kills and stops hit both.
        work_for(chance.random_range(0..10)).await;
        self.points.pass(Point::BeforeEffect, &key, fence);
        if task.number % 3 == 1 && cx.attempt() == 1 {
            return Err(HandlerError::transient("the first attempt fails"));
        }
        let entry = Entry {
            key: key.clone(),
            fence: fence.cast_signed(),
            attempt: cx.attempt().cast_signed(),
            worker: self.plan.worker.cast_signed(),
        };
        match self.plan.mode {
            Mode::Transactional => {
                let transaction = cx.transaction().await?;
                self.ledger.write(&mut **transaction, &entry).await?;
            }
            Mode::Leased => {
                let written = self.ledger.write(&self.pool, &entry).await;
                written.map_err(|error| HandlerError::unavailable("ledger", error))?;
            }
        }
        self.points.pass(Point::AfterEffect, &key, fence);
        if let Some(poison) = self.plan.poison.get(&task.number) {
            if *poison == Poison::Abort {
                say(Event::Aborting, &key, fence);
            }
            poison.strike()?;
        }
        work_for(chance.random_range(0..10)).await;
        Ok(())
    }
}

async fn work_for(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
