//! Removes what has expired, in small batches, and watches what keeps vacuum from working.

use sqlx::Row as _;
use steadfast::store::StoreError;

use crate::{error::store_error, rare::Rare, statements::Statements};

/// Rows in a batch: a few milliseconds of locks that nobody waits for.
const BATCH: usize = 500;

/// Removes at most `limit` records.
pub(crate) async fn reap(
    rare: &Rare,
    statements: &Statements,
    limit: usize,
) -> Result<usize, StoreError> {
    let mut removed = 0;
    let mut by = None::<i64>;
    while removed < limit {
        let batch = (limit - removed).min(BATCH);
        let query = sqlx::query(statements.reap.clone())
            .bind(i32::try_from(batch).unwrap_or(i32::MAX))
            .bind(by);
        let rows = rare.fetch(query).await?;
        let Some(row) = rows.first() else { break };
        let count =
            |column| row.try_get::<i32, _>(column).map(|count| count.unsigned_abs() as usize);
        removed += count(0).map_err(store_error)?;
        by = row.try_get(2).map_err(store_error)?;
        if count(1).map_err(store_error)? < batch {
            break;
        }
    }
    watch_horizon(rare, statements).await?;
    Ok(removed)
}

/// Dead rows stay for as long as a transaction may still see them, anybody's: the table grows, and
/// everything becomes slower.
async fn watch_horizon(rare: &Rare, statements: &Statements) -> Result<(), StoreError> {
    let rows = rare.fetch(sqlx::query(statements.horizon.clone())).await?;
    if let Some(row) = rows.first() {
        let seconds = row.try_get::<f64, _>(0).map_err(store_error)?;
        metrics::gauge!("steadfast_postgres_oldest_transaction_seconds").set(seconds);
    }
    Ok(())
}
