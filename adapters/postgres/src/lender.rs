//! The connections that are lent to handlers.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres,
    SqlSafeStr as _, SqlStr, Transaction, postgres::PgPoolOptions,
};
use steadfast::store::{RecordId, Token};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{
    Config,
    error::{Trouble, is_outage, no_answer},
    lane::{DEADLINE, uuid},
    migrate::Server,
};

/// A statement that was given up may run for this long until it is ended by closing its connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// How long the server may take to answer over a new connection: with TLS and a password, that takes eight
/// round trips.
const QUESTION: Duration = Duration::from_secs(3);

/// Places in the pool beyond those that are lent, and as many that have been given back.
const SPARE: u32 = 4;

/// After so long a rest, a connection is asked whether it is there before it is lent, and must say so in
/// this time: several may be found dead within one wait for a connection.
const SLEEP: Duration = Duration::from_secs(5);
const AWAKENING: Duration = Duration::from_millis(500);

/// The connections that are lent.
pub(crate) struct Lender {
    /// One for each connection: a handler that finds none free waits here, and not in the pool, which
    /// cannot tell a wait for a connection from a server that does not answer.
    permits: Arc<Semaphore>,
    pool: PgPool,
    suspicion: Suspicion,
    config: Config,
    begin: SqlStr,
}

pub(crate) type Begun = Result<(Transaction<'static, Postgres>, OwnedSemaphorePermit), sqlx::Error>;

impl Lender {
    pub(crate) fn new(config: &Config, server: Server) -> Self {
        let suspicion = Suspicion::default();
        let suspects = suspicion.clone();
        let pool = PgPoolOptions::new()
            // What is lent is bounded by the permits. A connection that dies while the pool looks at it
            // keeps its place until the operating system gives it up, and all may die at once.
            .max_connections(config.transactions.saturating_mul(2).saturating_add(SPARE))
            // Longer than it takes to give a connection back.
            .acquire_timeout(PATIENCE * 3)
            .test_before_acquire(false)
            .before_acquire(|connection, known| {
                let has_slept = known.idle_for > SLEEP;
                Box::pin(async move {
                    if !has_slept {
                        return Ok(true);
                    }
                    // A firewall may have forgotten it, or its server be gone without a word.
                    let awake = timeout(AWAKENING, connection.ping()).await;
                    awake.unwrap_or_else(|_| Err(no_answer("a connection at rest"))).map(|()| true)
                })
            })
            .after_release(move |connection, _| {
                let look_closely = suspects.is_there();
                Box::pin(async move {
                    // A connection that was given up in the middle of a long statement is closed: the
                    // server notices, and ends the statement.
                    let fit = timeout(PATIENCE, fit(connection, look_closely)).await;
                    fit.unwrap_or_else(|_| Err(no_answer("a statement given up")))
                })
            })
            .connect_lazy_with(config.options.clone());
        let begin = format!(
            r#"begin isolation level read committed; select "{{schema}}".lend({}, {})"#,
            config.idle_in_transaction.as_millis(),
            server.watch_interval(),
        );
        let permits = Arc::new(Semaphore::new(config.transactions as usize));
        let begin = config.schema.render(&begin).into_sql_str();
        Self { permits, pool, suspicion, config: config.clone(), begin }
    }

    pub(crate) fn transactions(&self) -> u32 {
        self.config.transactions
    }

    pub(crate) fn idle_in_transaction(&self) -> Duration {
        self.config.idle_in_transaction
    }

    /// Has connections looked at before they are lent again: called before one is dropped in any
    /// other way than after a commit.
    pub(crate) fn suspect(&self) {
        self.suspicion.arises();
    }

    /// Waits for a free connection. This may be given up at any time.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, sqlx::Error> {
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)
    }

    /// Begins a transaction in a task that nobody cancels: a `begin` given up half-way would leave
    /// its connection in a transaction, for the next one to find.
    pub(crate) fn begin(&self, permit: OwnedSemaphorePermit) -> JoinHandle<Begun> {
        /// New connections that are lost again.
        const TRIES: u32 = 3;
        let (pool, begin) = (self.pool.clone(), self.begin.clone());
        let suspicion = self.suspicion.clone();
        tokio::spawn(async move {
            let begun = async {
                let mut new = 0;
                loop {
                    // After a restart of the server, each idle connection finds out for itself.
                    new += u32::from(pool.num_idle() == 0);
                    match pool.begin_with(begin.clone()).await {
                        Err(error) if is_stale(&error) && new < TRIES => suspicion.arises(),
                        begun => return begun,
                    }
                }
            };
            let mut begun = pin!(begun);
            let begun = timeout(DEADLINE, &mut begun).await.unwrap_or_else(|_| {
                suspicion.arises();
                Err(no_answer("begin"))
            });
            Ok((begun?, permit))
        })
    }

    /// Completes the record and commits, in one round trip. The text stands for itself, since only such
    /// may hold two statements; a scope has none but harmless characters. The commit begins another
    /// transaction, for sqlx to end: it does not know that the first one has ended, and the server would
    /// complain. Answered with a row whose column has the name of the function.
    pub(crate) fn finish(&self, id: &RecordId, token: &Token) -> AssertSqlSafe<Arc<str>> {
        let key =
            id.key.as_bytes().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        self.config.schema.render(&format!(
            r#"select "{{schema}}".finish('{}', decode('{key}', 'hex'), '{}', {}); commit and chain"#,
            id.scope.as_str(),
            uuid(token.owner),
            token.fence.cast_signed(),
        ))
    }

    /// Whether the server that answers those who come now has a session of this role that was there by then, as
    /// that of a transaction which had begun was. One that has taken the place of another has none, unless
    /// this role read from it before. A doubt counts as one, and so does an error that is no outage.
    pub(crate) async fn has_session_as_old_as(
        &self,
        begun_at: Instant,
    ) -> Result<bool, sqlx::Error> {
        /// By which the server's clock may have been set back meanwhile, or run behind ours.
        const CLOCKS: Duration = Duration::from_secs(1);
        let asked = async {
            let mut connection = self.config.options.connect().await?;
            // The server takes its own time of the question, which is later than this.
            let age = begun_at.elapsed().saturating_sub(CLOCKS);
            // Sessions, for a handler may have ended the transaction by itself and be at work all the
            // same. The age of those that are hidden from this role is null.
            let has_one = sqlx::query_scalar::<_, bool>(
                "select exists(select from pg_stat_activity
                     where datname = current_database() and usename = session_user
                       and pid <> pg_backend_pid()
                       and coalesce(
                           backend_start <= clock_timestamp() - make_interval(secs => $1), true))",
            );
            has_one.bind(age.as_secs_f64()).fetch_one(&mut connection).await
        };
        match timeout(QUESTION, asked).await {
            Ok(Err(error)) if !is_outage(&error) => Ok(true),
            answered => answered.unwrap_or_else(|_| Err(no_answer("a new connection"))),
        }
    }
}

/// Whether a connection may be lent again: the server answers on it, and, if there is reason to look,
/// takes writes, and is not in a transaction whose beginning was given up.
async fn fit(connection: &mut PgConnection, look_closely: bool) -> Result<bool, sqlx::Error> {
    if !look_closely {
        return connection.ping().await.map(|()| true);
    }
    let fit = "select not current_setting('transaction_read_only')::boolean
                  and current_setting('steadfast.lent', true) is distinct from 'yes'";
    sqlx::query_scalar(fit).fetch_one(connection).await
}

/// That a connection may not be what it was: for a while after anything but a commit. Clones share it.
#[derive(Clone, Default)]
struct Suspicion(Arc<Mutex<Option<Instant>>>);

impl Suspicion {
    /// Longer than it takes to give a connection back.
    const LASTS: Duration = DEADLINE;

    fn arises(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_there(&self) -> bool {
        let arose = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arose.is_some_and(|arose| arose.elapsed() < Self::LASTS)
    }
}

fn is_stale(error: &sqlx::Error) -> bool {
    !matches!(error, sqlx::Error::PoolTimedOut) && Trouble::of(error) == Trouble::Connection
}
