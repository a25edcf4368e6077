//! A throwaway schema, for the test of a handler that writes in the lent transaction.

use std::thread;

use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgPool, postgres::PgPoolOptions};

use crate::{Config, ConnectError, PostgresStore, migrate};

/// A schema of its own on a given server: with the store's tables, first in the search path, and
/// dropped with this value, also when the test panics.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use steadfast_postgres::{sqlx, testing::Scratch};
///
/// let scratch = Scratch::new(&std::env::var("DATABASE_URL")?).await?;
/// sqlx::query("create table payments (order_id text)").execute(scratch.pool()).await?;
/// let store = scratch.store(); // for the consumer's builder: what a handler writes in its
///                              // transaction goes to the table above
/// # Ok(())
/// # }
/// ```
///
/// The broker may be the mock one, but not its paused clock: the server's goes on.
pub struct Scratch {
    config: Config,
    store: PostgresStore,
    pool: PgPool,
}

impl Scratch {
    /// Makes a schema. The role of the URL must be allowed to.
    ///
    /// # Errors
    /// As [`migrate`] and [`PostgresStore::connect`].
    pub async fn new(url: &str) -> Result<Self, ConnectError> {
        Self::with(Config::new(url)?).await
    }

    /// The same with settings of yours; their schema is replaced.
    ///
    /// # Errors
    /// As [`Scratch::new`].
    pub async fn with(config: Config) -> Result<Self, ConnectError> {
        let name = format!("scratch_{:016x}", rand::random::<u64>());
        let mut config = config.schema(&name)?;
        config.options = config.options.options([("search_path", &name)]);
        migrate(&config).await?;
        let pool =
            PgPoolOptions::new().max_connections(4).connect_lazy_with(config.options.clone());
        let store = PostgresStore::connect(&config).await?;
        Ok(Self { config, store, pool })
    }

    /// A store in it.
    pub fn store(&self) -> PostgresStore {
        self.store.clone()
    }

    /// Connections whose search path is the schema, to make tables and to look at them.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// How to reach it, for another process or another store.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its name.
    pub fn schema(&self) -> &str {
        self.config.schema.as_str()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let config = self.config.clone();
        // Of its own, for the test's runtime may be at its end.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            if let Err(error) = runtime.block_on(drop_schema(&config)) {
                eprintln!("schema {} was not dropped: {error}", config.schema.as_str());
            }
        });
        let _ = dropping.join();
    }
}

async fn drop_schema(config: &Config) -> Result<(), sqlx::Error> {
    let mut connection = config.options.connect().await?;
    connection.execute("set lock_timeout = '10s'").await?;
    let statement = config.schema.render(r#"drop schema if exists "{schema}" cascade"#);
    connection.execute(sqlx::query(statement)).await?;
    connection.close().await
}
