//! The transaction that a handler writes in.

use std::{any::Any, pin::pin, time::Duration};

use async_trait::async_trait;
use sqlx::{Postgres, Row as _, Transaction};
use steadfast::{
    Context, HandlerError,
    store::{Lent, RecordId, StoreError, Token, Written},
};
use tokio::{
    sync::OwnedSemaphorePermit,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{
    PostgresStore,
    error::{code, is_outage, no_answer, store_error},
    lane::{DEADLINE, Ending},
    lender::{Begun, PATIENCE},
};

/// What [`Context`] can do when the consumer's store is a [`PostgresStore`].
pub trait PostgresContext {
    /// The transaction of this attempt, begun when it is first asked for. Write with plain sqlx: what
    /// is written happens when, and only when, the message is recorded as done. Do not commit: that
    /// is done after the handler, together with the record.
    ///
    /// It runs at READ COMMITTED. The consumer must ask for it: `transactional` in the derive or on
    /// the builder.
    ///
    /// ```no_run
    /// use steadfast::{Context, Handler, HandlerError};
    /// use steadfast_postgres::{PostgresContext as _, sqlx};
    ///
    /// # #[derive(serde::Deserialize)]
    /// # struct Payment { order: String, cents: i64 }
    /// struct Book;
    ///
    /// impl Handler for Book {
    ///     type Message = Payment;
    ///
    ///     async fn handle(&self, paid: Payment, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    ///         let transaction = cx.transaction().await?;
    ///         sqlx::query("update accounts set cents = cents + $2 where order_id = $1")
    ///             .bind(paid.order)
    ///             .bind(paid.cents)
    ///             .execute(&mut **transaction)
    ///             .await?;
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// The database cannot begin one now. `?` passes it on as what it is: an outage, which pauses
    /// intake and uses up no attempt. A consumer that is not transactional, or has another store, is
    /// told so in the same way.
    fn transaction(
        &mut self,
    ) -> impl Future<Output = Result<&mut Transaction<'static, Postgres>, HandlerError>> + Send;
}

impl PostgresContext for Context<'_> {
    async fn transaction(&mut self) -> Result<&mut Transaction<'static, Postgres>, HandlerError> {
        match self.lent::<PostgresTransaction>() {
            Some(lent) => lent.open().await.map_err(|e| HandlerError::unavailable("postgres", e)),
            None => Err(HandlerError::unavailable(
                "a transaction: the consumer is not `transactional`",
                "this consumer lends no PostgreSQL transaction: declare it `transactional`, with a \
                 `PostgresStore`",
            )),
        }
    }
}

/// A transaction lent to one attempt. Costs nothing until it is asked for.
pub struct PostgresTransaction {
    store: PostgresStore,
    id: RecordId,
    token: Token,
    work: Work,
}

enum Work {
    NotAskedFor,
    /// For a connection, while all are lent.
    Waiting,
    Beginning(JoinHandle<Begun>),
    Open(Open),
}

struct Open {
    transaction: Transaction<'static, Postgres>,
    permit: OwnedSemaphorePermit,
    /// When it had begun for certain.
    begun_at: Instant,
    /// When the server may have ended it because nothing was done in it.
    idle_at: Instant,
}

impl PostgresTransaction {
    pub(crate) fn new(store: PostgresStore, id: RecordId, token: Token) -> Self {
        Self { store, id, token, work: Work::NotAskedFor }
    }

    /// As [`PostgresContext::transaction`], for tools and tests that have no context.
    ///
    /// # Errors
    /// The client's.
    pub async fn open(&mut self) -> Result<&mut Transaction<'static, Postgres>, sqlx::Error> {
        if let Work::NotAskedFor | Work::Waiting = self.work {
            self.work = Work::Waiting;
            let permit = self.store.lender().permit().await?;
            self.work = Work::Beginning(self.store.lender().begin(permit));
        }
        if let Work::Beginning(begun) = &mut self.work {
            let begun = begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed));
            self.work = Work::NotAskedFor;
            let (transaction, permit) = begun?;
            let begun_at = Instant::now();
            let idle_at = begun_at + self.store.lender().idle_in_transaction();
            self.work = Work::Open(Open { transaction, permit, begun_at, idle_at });
        }
        match &mut self.work {
            Work::Open(open) => {
                // Whoever asks is about to do something. What may have been ended by now stays so.
                let now = Instant::now();
                if now < open.idle_at {
                    open.idle_at = now + self.store.lender().idle_in_transaction();
                }
                Ok(&mut open.transaction)
            }
            _ => Err(sqlx::Error::BeginFailed),
        }
    }
}

#[async_trait]
impl Lent for PostgresTransaction {
    async fn complete(mut self: Box<Self>) -> Result<Written, StoreError> {
        if let Work::Beginning(_) = self.work {
            self.open().await.map_err(store_error)?;
        }
        let Self { store, id, token, work } = *self;
        let Work::Open(Open { mut transaction, permit, begun_at, idle_at }) = work else {
            return store.write(&id, &token, Ending::Complete).await;
        };
        let task = tokio::spawn(async move {
            let _permit = permit;
            let finish = store.lender().finish(&id, &token);
            let mut finished = sqlx::raw_sql(finish).fetch_all(&mut *transaction);
            let mut heard = timeout(DEADLINE, &mut finished).await;
            if heard.is_err() && is_at_it(&store, &id, &token, begun_at).await {
                heard = timeout(SLOW_COMMIT, &mut finished).await;
            }
            drop(finished);
            let error = match heard.unwrap_or_else(|_| Err(no_answer("a commit"))) {
                Ok(rows) if rows.iter().any(|row| row.try_column("finish").is_ok()) => {
                    return Ok(Written::Applied);
                }
                Ok(_) => sqlx::Error::Protocol(NOT_ITS_ANSWER.to_owned()),
                Err(error) => error,
            };
            store.lender().suspect();
            let said = code(&error);
            if said.is_none() && !is_outage(&error) {
                // The commit's own answer comes after what was heard in its place: this waits for it.
                let _ = timeout(PATIENCE, transaction.rollback()).await;
            }
            match said.as_deref() {
                Some("SF001") => Ok(Written::Fenced),
                Some("SF002") => Err(StoreError::Refused(ENDED_BY_HANDLER.into())),
                said if (said.is_none() || is_outage(&error))
                    && has_committed(&store, &id, &token).await? =>
                {
                    Ok(Written::Applied)
                }
                _ => Err(not_committed(error, idle_at)),
            }
        });
        task.await.map_err(StoreError::unavailable)?
    }

    async fn roll_back(mut self: Box<Self>) -> Result<(), StoreError> {
        if let Work::Beginning(_) = self.work {
            self.open().await.map_err(store_error)?;
        }
        let Open { transaction, permit, begun_at, idle_at } = match self.work {
            Work::Open(open) => open,
            Work::Waiting => {
                let all = self.store.lender().transactions();
                return Err(StoreError::unavailable(format!("all {all} transactions were lent")));
            }
            Work::NotAskedFor | Work::Beginning(_) => return Ok(()),
        };
        // In a task that nobody cancels. A statement that was given up may still run; the pool waits
        // for it, or closes the connection.
        let store = self.store;
        let task = tokio::spawn(async move {
            let _permit = permit;
            store.lender().suspect();
            // Kept until the end: were it given up, the connection would be closed, and with it might go
            // what is asked for.
            let mut rollback = pin!(transaction.rollback());
            let ended = match timeout(PATIENCE, &mut rollback).await {
                Ok(ended) => ended,
                // A long statement, or a server that is gone? What is heard meanwhile is looked at first.
                Err(_) => tokio::select! {
                    biased;
                    ended = &mut rollback => ended,
                    has_one = store.lender().has_session_as_old_as(begun_at) => {
                        return match has_one {
                            Ok(false) if Instant::now() < idle_at => {
                                Err(StoreError::unavailable(GONE))
                            }
                            Ok(_) => Ok(()),
                            Err(error) => Err(StoreError::unavailable(error)),
                        };
                    }
                },
            };
            match ended {
                Err(error) if is_outage(&error) && !may_be_idle(&error, idle_at) => {
                    Err(store_error(error))
                }
                _ => Ok(()),
            }
        });
        task.await.map_err(StoreError::unavailable)?
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

const ENDED_BY_HANDLER: &str = "the handler ended the lent transaction by itself: leave commit and rollback to \
     steadfast, and return an error to have it rolled back";

const GONE: &str = "the server of the lent transaction fell silent, and the one that answers now has no \
     session as old";

const NOT_ITS_ANSWER: &str = "something else was heard than the answer to the commit: what the handler asked for \
     in the lent transaction, such as a COPY, was not read to its end";

/// How much longer than other answers a commit is waited for, while the server is there: a rule of the user's
/// may take its time.
const SLOW_COMMIT: Duration = Duration::from_secs(50);

/// Whether the server may still be at a commit that it has not answered.
async fn is_at_it(store: &PostgresStore, id: &RecordId, token: &Token, begun_at: Instant) -> bool {
    matches!(store.lender().has_session_as_old_as(begun_at).await, Ok(true))
        && matches!(has_committed(store, id, token).await, Ok(false))
}

/// The end of a transaction of which it is certain that it did not commit: by an outage, or because of
/// what the handler did in it. If in doubt it is the handler, whose attempts are counted: what is taken for
/// an outage is tried for ever.
fn not_committed(error: sqlx::Error, idle_at: Instant) -> StoreError {
    if !is_outage(&error) {
        return StoreError::RolledBack(Box::new(error));
    }
    if may_be_idle(&error, idle_at) {
        let words = format!("it was lost after longer than idle_in_transaction: {error}");
        return StoreError::RolledBack(words.into());
    }
    store_error(error)
}

/// Whether the server may have ended a transaction because nothing was done in it. It says so, and gives other
/// reasons too, if it is heard.
fn may_be_idle(error: &sqlx::Error, idle_at: Instant) -> bool {
    code(error).is_none() && Instant::now() >= idle_at
}

/// Whether a transaction committed, when the reply to that was lost or not understood.
async fn has_committed(
    store: &PostgresStore,
    id: &RecordId,
    token: &Token,
) -> Result<bool, StoreError> {
    use steadfast::store::{State, Store as _};
    let record = store.look(id).await?;
    Ok(record.is_some_and(|it| it.fence == token.fence && it.state == State::Done))
}
