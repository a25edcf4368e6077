//! The store.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    ConnectOptions as _, Row as _,
    postgres::{PgPoolOptions, PgRow},
};
use steadfast::store::{
    Answer, Claim, Lent, Note, Record, RecordId, State, Store, StoreError, Token, Written,
};

use crate::{
    Config, ConnectError,
    error::{no_answer, store_error},
    lane::{DEADLINE, Ending, Lanes, Wire, Write, history},
    lender::Lender,
    migrate,
    rare::Rare,
    reaper,
    span::micros,
    statements::Statements,
    transaction::PostgresTransaction,
};
use tokio::time::timeout;

/// Records in PostgreSQL. Clones share their connections.
///
/// ```no_run
/// # async fn example() -> Result<(), steadfast_postgres::ConnectError> {
/// use steadfast_postgres::{Config, PostgresStore, migrate};
///
/// let config = Config::new("postgres://billing:secret@db.internal/orders")?;
/// migrate(&config).await?; // once before a deployment
/// let store = PostgresStore::connect(&config).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    lanes: Lanes,
    rare: Rare,
    statements: Arc<Statements>,
    lender: Lender,
}

impl PostgresStore {
    /// Connects, and checks what a consumer would otherwise find out at its first message: that the
    /// schema is there, in this version, and that the role may use it.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub async fn connect(config: &Config) -> Result<Self, ConnectError> {
        let statements = Arc::new(Statements::new(&config.schema));
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(DEADLINE)
            .connect_lazy_with(config.options.clone());
        let mut connection = config.connect().await?;
        let checked = timeout(DEADLINE, migrate::check(&mut connection, config)).await;
        let at_start =
            |error| ConnectError::at_start(error, config.role(), &config.schema, &config.address());
        let server = checked.unwrap_or_else(|_| Err(at_start(no_answer("the check at start"))))?;
        let options = server.watched(config.options.clone());
        // A pooler may refuse what these ask for: now, and not at the first message.
        let watched = timeout(DEADLINE, options.connect()).await;
        let watched = watched.unwrap_or_else(|_| Err(no_answer("a connection of a lane")));
        drop(watched.map_err(at_start)?);
        let wire = |_| Wire::new(options.clone(), Arc::clone(&statements));
        Ok(Self(Arc::new(Inner {
            lanes: Lanes::start((0..config.lanes).map(wire).collect()),
            lender: Lender::new(config, server),
            rare: Rare::new(pool),
            statements,
        })))
    }

    pub(crate) fn lender(&self) -> &Lender {
        &self.0.lender
    }

    pub(crate) async fn write(
        &self,
        id: &RecordId,
        token: &Token,
        ending: Ending,
    ) -> Result<Written, StoreError> {
        self.0.lanes.write(Write { id: id.clone(), token: *token, ending }).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn lends_transactions(&self) -> bool {
        true
    }

    async fn claim(&self, claim: &Claim) -> Result<Answer, StoreError> {
        self.0.lanes.claim(claim).await
    }

    async fn extend(
        &self,
        id: &RecordId,
        token: &Token,
        lease: Duration,
    ) -> Result<Written, StoreError> {
        self.write(id, token, Ending::Extend { lease: micros(lease) }).await
    }

    async fn complete(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        self.write(id, token, Ending::Complete).await
    }

    async fn fail(
        &self,
        id: &RecordId,
        token: &Token,
        after: Duration,
        note: &Note,
    ) -> Result<Written, StoreError> {
        let ending = Ending::Fail { after: micros(after), note: note.error.clone() };
        self.write(id, token, ending).await
    }

    async fn release(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        self.write(id, token, Ending::Release).await
    }

    async fn bury(&self, id: &RecordId, token: &Token, note: &Note) -> Result<Written, StoreError> {
        self.write(id, token, Ending::Bury { note: note.error.clone() }).await
    }

    async fn rearm(&self, id: &RecordId, fence: Option<u64>) -> Result<Written, StoreError> {
        let query = sqlx::query(self.0.statements.rearm.clone())
            .bind(id.scope.as_str().to_owned())
            .bind(id.key.as_bytes().to_vec())
            .bind(fence.map(u64::cast_signed));
        let rows = self.0.rare.fetch(query).await?;
        let rearmed = rows.first().map(|row| row.try_get(0)).transpose().map_err(store_error)?;
        Ok(if rearmed == Some(true) { Written::Applied } else { Written::Fenced })
    }

    async fn look(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        let query = sqlx::query(self.0.statements.look.clone())
            .bind(id.scope.as_str().to_owned())
            .bind(id.key.as_bytes().to_vec());
        let rows = self.0.rare.fetch(query).await?;
        rows.first().map(record).transpose().map_err(store_error)
    }

    async fn reap(&self, limit: usize) -> Result<usize, StoreError> {
        reaper::reap(&self.0.rare, &self.0.statements, limit).await
    }

    fn lend(&self, id: &RecordId, token: &Token) -> Option<Box<dyn Lent>> {
        Some(Box::new(PostgresTransaction::new(self.clone(), id.clone(), *token)))
    }
}

fn record(row: &PgRow) -> Result<Record, sqlx::Error> {
    let state = match row.try_get::<i8, _>(0)?.cast_unsigned() {
        b'p' => State::InProgress,
        b'f' => State::Failed,
        b'd' => State::Done,
        _ => State::Dead,
    };
    let fence = row.try_get::<i64, _>(1)?.cast_unsigned();
    let count = |column| row.try_get::<i32, _>(column).map(i32::unsigned_abs);
    Ok(Record::new(state, fence, count(2)?, count(3)?, history(row, 4)?))
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
