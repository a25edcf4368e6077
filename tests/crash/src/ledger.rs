//! What handlers did, in a table without a unique key: what was done twice stands there twice.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use steadfast_postgres::sqlx::{self, AssertSqlSafe, PgExecutor, SqlSafeStr as _, SqlStr};

/// The ledger of one round.
#[derive(Clone, Debug)]
pub struct Ledger {
    make: SqlStr,
    slow_down: SqlStr,
    write: SqlStr,
    read: SqlStr,
}

/// One effect.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The dedup key.
    pub key: String,
    /// The fence of the attempt that wrote it.
    pub fence: i64,
    /// The number of that attempt.
    pub attempt: i32,
    /// The worker that wrote it.
    pub worker: i32,
}

impl Entry {
    /// The number of its message.
    pub(crate) fn number(&self) -> Option<u32> {
        self.key.strip_prefix("m-")?.parse().ok()
    }
}

impl Ledger {
    /// The one in this schema.
    #[must_use]
    pub fn new(schema: &str) -> Self {
        let sql = |text: String| AssertSqlSafe(Arc::<str>::from(text)).into_sql_str();
        Self {
            make: sql(format!(
                "create table \"{schema}\".ledger \
                 (id bigserial, key text not null, fence bigint not null, attempt integer not null, worker integer not null)"
            )),
            slow_down: sql(format!(
                "create function \"{schema}\".slowly() returns trigger language plpgsql as \
                 $$ begin perform pg_sleep(0.02); return null; end $$;
                 create constraint trigger slowly after insert on \"{schema}\".ledger \
                 deferrable initially deferred for each row execute function \"{schema}\".slowly()"
            )),
            write: sql(format!(
                "insert into \"{schema}\".ledger (key, fence, attempt, worker) values ($1, $2, $3, $4)"
            )),
            read: sql(format!(
                "select key, fence, attempt, worker from \"{schema}\".ledger order by id"
            )),
        }
    }

    /// Makes the table.
    ///
    /// # Errors
    /// The database's.
    pub async fn make(&self, database: impl PgExecutor<'_>) -> Result<()> {
        sqlx::raw_sql(self.make.clone()).execute(database).await.context("the ledger")?;
        Ok(())
    }

    /// Makes commits take long enough to be killed in: behind the last statement of the
    /// transaction, which completes the record, and before anybody sees it.
    ///
    /// # Errors
    /// The database's.
    pub async fn slow_down(&self, database: impl PgExecutor<'_>) -> Result<()> {
        sqlx::raw_sql(self.slow_down.clone()).execute(database).await.context("slow commits")?;
        Ok(())
    }

    /// Adds an effect.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&self, database: impl PgExecutor<'_>, entry: &Entry) -> sqlx::Result<()> {
        let query = sqlx::query(self.write.clone()).bind(&entry.key).bind(entry.fence);
        query.bind(entry.attempt).bind(entry.worker).execute(database).await.map(drop)
    }

    /// Everything in it, in the order of writing.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(&self, database: impl PgExecutor<'_>) -> sqlx::Result<Vec<Entry>> {
        let rows: Vec<(String, i64, i32, i32)> =
            sqlx::query_as(self.read.clone()).fetch_all(database).await?;
        let entry = |(key, fence, attempt, worker)| Entry { key, fence, attempt, worker };
        Ok(rows.into_iter().map(entry).collect())
    }
}
