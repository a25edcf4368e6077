//! Makes the schema, and checks that it is the one that this version needs.

use sqlx::{
    Executor as _, PgConnection, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{Config, ConnectError, lane::DEADLINE, schema::Schema};

/// The version of the last migration.
const NEEDED: i64 = 1;

const MIGRATIONS: [(i64, &str, &str); 1] =
    [(NEEDED, "inbox", include_str!("../migrations/0001_inbox.sql"))];

/// Makes or updates the schema. Run it once before a deployment, over a direct connection (not
/// through a pooler), as a role that may create the schema; the consumers' own role needs less, see
/// `docs/postgres.md`. Runs that meet wait for each other, and one that finds nothing to do does
/// nothing.
///
/// # Errors
/// When the server cannot be reached, or refuses. Each migration is made whole or not at all; the schema, and
/// the table that says which were made, may be there without any.
pub async fn migrate(config: &Config) -> Result<(), ConnectError> {
    let unavailable = |error| ConnectError::Unavailable { address: config.address(), error };
    let mut connection = config.connect().await?;
    let mut migrator = Migrator::with_migrations(migrations(&config.schema));
    let name = config.schema.as_str();
    migrator.dangerous_set_table_name(format!(r#""{name}".migrations"#));
    let exists = sqlx::query_scalar::<_, bool>("select to_regnamespace($1) is not null")
        .bind(format!(r#""{name}""#))
        .fetch_one(&mut connection)
        .await
        .map_err(unavailable)?;
    if !exists {
        migrator.create_schema(format!(r#""{name}""#));
    }
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(config.options.clone());
    let migrated = migrator.run(&pool).await;
    // Also when it failed: the migrator's lock is the session's.
    pool.close().await;
    migrated.map_err(|error| ConnectError::Migration { schema: name.to_owned(), error })
}

fn migrations(schema: &Schema) -> Vec<Migration> {
    let migration = |(version, description, sql): (i64, &'static str, &str)| {
        let sql = schema.render(sql).into_sql_str();
        Migration::new(version, description.into(), MigrationType::Simple, sql, false)
    };
    MIGRATIONS.into_iter().map(migration).collect()
}

/// What the server can do.
#[derive(Clone, Copy)]
pub(crate) struct Server {
    /// Whether it looks after its clients while it works for them. Not all platforms let it.
    watches: bool,
}

impl Server {
    /// How often a lent transaction's server looks whether its client is there, in milliseconds; 0 for
    /// never.
    pub(crate) fn watch_interval(self) -> u32 {
        if self.watches { 1000 } else { 0 }
    }

    /// Options for statements that their client may give up: the server ends them.
    pub(crate) fn watched(self, options: PgConnectOptions) -> PgConnectOptions {
        let interval = self.watch_interval();
        let options = options.options([("statement_timeout", DEADLINE.as_millis())]);
        if interval == 0 {
            return options;
        }
        options.options([("client_connection_check_interval", interval)])
    }
}

/// Checks that the database can be worked with, all that can be seen from one session.
pub(crate) async fn check(
    connection: &mut PgConnection,
    config: &Config,
) -> Result<Server, ConnectError> {
    let (schema, role) = (&config.schema, config.role());
    let at_start = |error| ConnectError::at_start(error, role, schema, &config.address());
    let (server, isolation) = sqlx::query_as::<_, (String, String)>(
        "select current_setting('server_version_num'),
                current_setting('default_transaction_isolation')",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(at_start)?;
    let server = server.parse::<i32>().unwrap_or_default() / 10_000;
    if server < 14 {
        return Err(ConnectError::Server(server));
    }
    if isolation != "read committed" {
        return Err(ConnectError::Isolation { role: role.to_owned(), found: isolation });
    }
    let version = schema.render(r#"select max(version) from "{schema}".migrations where success"#);
    let found = sqlx::query_scalar::<_, Option<i64>>(version)
        .fetch_one(&mut *connection)
        .await
        .map_err(at_start)?
        .unwrap_or_default();
    if found != NEEDED {
        let schema = schema.as_str().to_owned();
        return Err(ConnectError::Version { schema, found, needed: NEEDED });
    }
    check_permissions(connection, config).await?;
    let watch = "select set_config('client_connection_check_interval', '1000', true)";
    Ok(Server { watches: connection.execute(watch).await.is_ok() })
}

async fn check_permissions(
    connection: &mut PgConnection,
    config: &Config,
) -> Result<(), ConnectError> {
    // Each says nothing and changes nothing; it is refused without the permission.
    const NEEDED: [&str; 5] = [
        r#"select from "{schema}".inbox limit 0"#,
        r#"update "{schema}".inbox set attempts = attempts where false"#,
        r#"delete from "{schema}".inbox where false"#,
        r#"select from "{schema}".scopes limit 0"#,
        r#"insert into "{schema}".scopes (name) select '' where false"#,
    ];
    let at_start =
        |error| ConnectError::at_start(error, config.role(), &config.schema, &config.address());
    for statement in NEEDED {
        let statement = config.schema.render(statement);
        sqlx::query(statement).execute(&mut *connection).await.map_err(at_start)?;
    }
    let missing = config.schema.render(
        r#"select coalesce(string_agg(format('%s on %s', privilege, object), ', '), '') from (
               select 'usage', 'sequence fence'
               where not has_sequence_privilege('"{schema}".fence', 'usage')
               union all select 'insert', 'inbox'
               where not has_table_privilege('"{schema}".inbox', 'insert')
               union all select 'execute', 'function ' || proname from pg_proc
               where pronamespace = '"{schema}"'::regnamespace
                 and not has_function_privilege(oid, 'execute')
           ) as missing(privilege, object)"#,
    );
    let missing = sqlx::query_scalar::<_, String>(missing)
        .fetch_one(&mut *connection)
        .await
        .map_err(at_start)?;
    if missing.is_empty() {
        return Ok(());
    }
    let error = sqlx::Error::Configuration(missing.into());
    let schema = config.schema.as_str().to_owned();
    Err(ConnectError::Permission { role: config.role().to_owned(), schema, error })
}
