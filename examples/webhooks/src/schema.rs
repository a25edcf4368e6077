//! The run's own schema in PostgreSQL: the store's tables, the ledger, and what the run was begun with.

use std::{collections::HashSet, str::FromStr as _, sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use steadfast_postgres::{
    Config, PostgresStore, migrate,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
        PgPool, Postgres, SqlSafeStr as _, SqlStr, Transaction,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};

use crate::{cli::Options, plan::Plan};

/// A schema that this process alone works in.
pub(crate) struct Schema {
    name: String,
    /// Made for this run alone, and dropped after it; not one that the user named.
    temporary: bool,
    insert: SqlStr,
    /// What an earlier process of this run has given up. Its dead letters may have died with the
    /// embedded broker of that process, and their copies come back as duplicates.
    pub(crate) buried: HashSet<u64>,
    pool: PgPool,
    /// Holds the lock for as long as this process lives.
    _lock: PgConnection,
}

/// How long an outage at the end may last before the count is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a process that was killed may keep its lock: until the server notices.
const LOCKED: Duration = Duration::from_secs(10);

impl Schema {
    /// Makes the schema, or goes on in it.
    ///
    /// # Errors
    /// In words, without credentials.
    pub(crate) async fn open(
        options: &Options,
        name: &str,
    ) -> Result<(PostgresStore, Self), String> {
        let config = Config::new(&options.store).map_err(|error| format!("--store: {error}"))?;
        let config = config.schema(name).map_err(|error| format!("--run: {error}"))?;
        let server = PgConnectOptions::from_str(&options.store)
            .map_err(|_| "--store: the URL cannot be read".to_owned())?
            .application_name("webhooks")
            .disable_statement_logging();
        let place = format!("PostgreSQL at {}:{}", server.get_host(), server.get_port());
        let unavailable = |error: sqlx::Error| format!("--store: {place} cannot be used: {error}");
        let mut session = server.connect().await.map_err(unavailable)?;
        lock(&mut session, name).await?;
        begin(&mut session, options, name).await?;
        migrate(&config).await.map_err(|error| format!("--store: {error}"))?;
        let store = PostgresStore::connect(&config).await;
        let store = store.map_err(|error| format!("--store: {error}"))?;
        let schema = Self {
            buried: buried(&mut session, name).await.map_err(unavailable)?,
            name: name.to_owned(),
            temporary: options.run.is_none(),
            insert: statement(name, "insert into {}.ledger (delivery, event) values ($1, $2)"),
            pool: PgPoolOptions::new()
                .max_connections(1)
                .acquire_timeout(PATIENCE)
                .connect_lazy_with(server),
            _lock: session,
        };
        Ok((store, schema))
    }

    /// Writes one effect.
    pub(crate) async fn write(
        &self,
        delivery: &str,
        event: &str,
        transaction: &mut Transaction<'static, Postgres>,
    ) -> Result<(), sqlx::Error> {
        let insert = sqlx::query(self.insert.clone()).bind(delivery).bind(event);
        insert.execute(&mut **transaction).await.map(drop)
    }

    /// Says of each message how often it stands in the ledger.
    pub(crate) async fn count(&self, add: &mut impl FnMut(u64, u32)) -> Result<(), String> {
        let select = "select delivery, count(*) from {}.ledger group by delivery";
        let select = sqlx::query_as::<_, (String, i64)>(statement(&self.name, select));
        let mut rows = select.fetch(&self.pool);
        let failed =
            |error| format!("the effects in {}.ledger cannot be counted: {error}", self.name);
        while let Some((delivery, times)) = rows.try_next().await.map_err(failed)? {
            if let Some(number) = Plan::number(&delivery) {
                add(number, u32::try_from(times).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }

    /// What was made where, and how to go on with it.
    pub(crate) fn announce(&self) -> String {
        let Self { name, temporary, .. } = self;
        let end = if *temporary { "; dropped when it ends well" } else { "; kept" };
        format!(
            "records and effects are in schema {name}{end}\nif this run is broken off, the same \
             command with --run {name} goes on with it"
        )
    }

    /// Drops it, if it was made for this run alone and is not needed any more. Says what was done.
    pub(crate) async fn close(&self, is_over: bool) -> String {
        let name = &self.name;
        if self.temporary && is_over {
            match self.pool.execute(statement(name, "drop schema {} cascade")).await {
                Ok(_) => return format!("schema {name} dropped"),
                Err(error) => return format!("schema {name} could not be dropped: {error}"),
            }
        }
        format!(
            "schema {name} kept: look at {name}.ledger, go on with --run {name}, or drop schema {name} \
             cascade"
        )
    }
}

/// A statement in the schema, whose name was checked to be one.
fn statement(name: &str, sql: &str) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(sql.replace("{}", &format!("\"{name}\"")))).into_sql_str()
}

/// Keeps two processes from working at one run: each would miss what the other has done.
async fn lock(session: &mut PgConnection, name: &str) -> Result<(), String> {
    let failed = |error| format!("--store: the run cannot be locked: {error}");
    let began = std::time::Instant::now();
    while began.elapsed() < LOCKED {
        let lock =
            sqlx::query_scalar("select pg_try_advisory_lock(hashtext('webhooks'), hashtext($1))");
        if lock.bind(name).fetch_one(&mut *session).await.map_err(failed)? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("--run {name}: another process is at it: wait for its end, or choose another name"))
}

/// Makes the schema with the ledger, or finds them, all of it or nothing.
async fn begin(session: &mut PgConnection, options: &Options, name: &str) -> Result<(), String> {
    let failed = |error| format!("--store: schema {name} cannot be made or read: {error}");
    let mut work = session.begin().await.map_err(failed)?;
    let (exists, is_ours) = sqlx::query_as::<_, (bool, bool)>(
        "select to_regnamespace(quote_ident($1)) is not null,
                to_regclass(quote_ident($1) || '.begun_with') is not null",
    )
    .bind(name)
    .fetch_one(&mut *work)
    .await
    .map_err(failed)?;
    let with = options.what_decides();
    match (exists, is_ours) {
        (false, _) => {
            for sql in MAKE {
                work.execute(statement(name, sql)).await.map_err(failed)?;
            }
            let insert = statement(name, "insert into {}.begun_with values ($1)");
            sqlx::query(insert).bind(&with).execute(&mut *work).await.map_err(failed)?;
        }
        (true, false) => {
            return Err(format!(
                "--run {name}: there is a schema of this name that is not of a run: choose another \
                 name"
            ));
        }
        (true, true) => {
            let select = statement(name, "select options from {}.begun_with");
            let begun = sqlx::query_scalar::<_, String>(select).fetch_one(&mut *work).await;
            let begun = begun.map_err(failed)?;
            if begun != with {
                return Err(format!(
                    "--run {name}: it was begun with {begun}, and not with {with}: give the same, or \
                     choose another name"
                ));
            }
        }
    }
    work.commit().await.map_err(failed)
}

/// The ledger has no unique key: what happens twice must be seen twice.
const MAKE: [&str; 3] = [
    "create schema {}",
    "create table {}.begun_with (options text not null)",
    "create table {}.ledger (
         delivery text not null, event text not null,
         written_at timestamptz not null default clock_timestamp()
     )",
];

/// The messages that stand as dead in the store.
async fn buried(session: &mut PgConnection, name: &str) -> Result<HashSet<u64>, sqlx::Error> {
    let select = statement(name, "select key from {}.inbox where state = 'x'");
    let keys = sqlx::query_scalar::<_, Vec<u8>>(select).fetch_all(session).await?;
    let number = |key: &Vec<u8>| std::str::from_utf8(key).ok().and_then(Plan::number);
    Ok(keys.iter().filter_map(number).collect())
}
