//! Settings of the server that a database administrator would make too.

use anyhow::Result;
use sqlx::{Connection as _, PgConnection};

use crate::server::Server;

/// All else is as shipped: `fsync`, `synchronous_commit` and `full_page_writes` are on.
const SETTINGS: [&str; 4] = [
    "create extension if not exists pg_stat_statements",
    "alter system set shared_buffers = '2GB'",
    "alter system set max_wal_size = '8GB'",
    "alter system set checkpoint_timeout = '15min'",
];

pub(crate) async fn run(server: &Server) -> Result<()> {
    let mut connection = PgConnection::connect(server.url()).await?;
    for setting in SETTINGS {
        sqlx::query(setting).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}
