//! The server, and what it counts.

use std::str::FromStr as _;

use anyhow::Result;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use steadfast_postgres::{Config, testing::Scratch};

/// Where the server is.
pub(crate) struct Server {
    url: String,
}

impl Server {
    pub(crate) fn new(url: String) -> Self {
        Self { url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A store with its shipped settings, in a schema of its own.
    pub(crate) async fn scratch(&self) -> Result<Scratch> {
        Ok(Scratch::with(Config::new(&self.url)?.transactions(64)?).await?)
    }

    /// So many connections, in the schema of a store.
    pub(crate) fn pool(&self, scratch: &Scratch, connections: u32) -> Result<PgPool> {
        let options = PgConnectOptions::from_str(&self.url)?;
        let options = options.options([("search_path", scratch.schema())]);
        // As an application would have it that looks for speed: no ping before each use.
        let pool = PgPoolOptions::new().max_connections(connections).test_before_acquire(false);
        Ok(pool.connect_lazy_with(options))
    }

    /// Connections for looking at what the server counts.
    pub(crate) fn counters(&self) -> Result<Counters> {
        let options = PgConnectOptions::from_str(&self.url)?;
        Ok(Counters(PgPoolOptions::new().max_connections(1).connect_lazy_with(options)))
    }
}

/// What the server counts.
pub(crate) struct Counters(PgPool);

impl Counters {
    /// Counts statements from zero.
    pub(crate) async fn forget_statements(&self) -> Result<()> {
        sqlx::query("select pg_stat_statements_reset()").execute(&self.0).await?;
        Ok(())
    }

    /// Statements that clients sent since, `begin` and `commit` among them.
    pub(crate) async fn statements(&self) -> Result<f64> {
        let calls = "select coalesce(sum(calls), 0)::float8 from pg_stat_statements
                     where query not like '%pg_stat_statements%'";
        Ok(sqlx::query_scalar(calls).fetch_one(&self.0).await?)
    }

    /// Bytes that were ever written ahead.
    pub(crate) async fn wal_bytes(&self) -> Result<f64> {
        let bytes = "select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8";
        Ok(sqlx::query_scalar(bytes).fetch_one(&self.0).await?)
    }

    /// Writes out what is dirty, so that no earlier part is paid for later.
    pub(crate) async fn checkpoint(&self) -> Result<()> {
        sqlx::query("checkpoint").execute(&self.0).await?;
        Ok(())
    }
}
