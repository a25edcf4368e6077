//! Statements that are rare: one at a time, over a small pool.

use sqlx::{
    PgPool, Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use steadfast::store::StoreError;
use tokio::time::timeout;

use crate::{
    error::{Trouble, no_answer, store_error},
    lane::DEADLINE,
};

pub(crate) struct Rare(PgPool);

impl Rare {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    /// Runs a statement in a task that nobody cancels: a connection that is given up in the middle of
    /// a statement is closed, and not used again.
    pub(crate) async fn fetch(
        &self,
        query: Query<'static, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, StoreError> {
        let pool = self.0.clone();
        let task = tokio::spawn(async move {
            let mut connection = pool.acquire().await?;
            let fetched = timeout(DEADLINE, query.fetch_all(&mut *connection)).await;
            let fetched = fetched.unwrap_or_else(|_| Err(no_answer("a statement")));
            let unfit = |error| matches!(Trouble::of(error), Trouble::Connection | Trouble::Down);
            if fetched.as_ref().is_err_and(unfit) {
                connection.close_on_drop();
            }
            fetched
        });
        task.await.map_err(StoreError::unavailable)?.map_err(store_error)
    }
}
