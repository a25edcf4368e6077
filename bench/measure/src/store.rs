//! The store of the consumers that remember.

use anyhow::Result;
use sqlx::{Connection as _, PgConnection};
use steadfast_postgres::{PostgresStore, testing::Scratch};

/// A store with its shipped settings, in a schema of its own that goes with this value.
pub struct Memory(Scratch);

impl Memory {
    /// On the server at this URL.
    ///
    /// # Errors
    /// When it cannot be reached, or refuses a new schema.
    pub async fn new(url: &str) -> Result<Self> {
        Ok(Self(Scratch::new(url).await?))
    }

    pub(crate) fn store(&self) -> PostgresStore {
        self.0.store()
    }
}

/// What the server at this URL is, and what its figures depend on.
///
/// # Errors
/// When it cannot be reached.
pub async fn version(url: &str) -> Result<String> {
    let words = "select format('PostgreSQL %s, %s, %s, %s, %s',
        current_setting('server_version'),
        'fsync ' || current_setting('fsync'),
        'synchronous_commit ' || current_setting('synchronous_commit'),
        'shared_buffers ' || current_setting('shared_buffers'),
        'max_wal_size ' || current_setting('max_wal_size'))";
    let mut connection = PgConnection::connect(url).await?;
    let version = sqlx::query_scalar(words).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(version)
}
