//! What can be wrong with a database, and what that means for a call.

use std::{io, sync::Arc};

use steadfast::store::StoreError;

use crate::schema::Schema;

/// Why a store could not be connected or migrated. Says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The connection URL cannot be read. The URL, which may hold a password, is not repeated.
    #[error(
        "the PostgreSQL URL cannot be read: write postgres://user:password@host:port/database \
         (special characters in the password as %XX)"
    )]
    Url,
    /// The name of the schema is not one that may stand in a statement.
    #[error(
        "schema = {0:?}: it needs 1 to 63 lower-case letters, digits and _, not beginning with a \
         digit or pg_"
    )]
    Schema(String),
    /// A number among the settings is out of bounds.
    #[error("{setting} = {found}: it must be {needed}")]
    Setting {
        /// Which setting.
        setting: &'static str,
        /// What it was.
        found: u64,
        /// What it may be.
        needed: &'static str,
    },
    /// There is no schema of ours in this database.
    #[error(
        "the database has no schema {0:?} of steadfast's: run `steadfast_postgres::migrate` once, as \
         a role that may create it"
    )]
    NotMigrated(String),
    /// The schema was made by another version of this crate.
    #[error(
        "schema {schema:?} is at version {found}, this program needs {needed}: {}",
        if found < needed { "run `steadfast_postgres::migrate`" } else { "deploy a newer program" }
    )]
    Version {
        /// Which schema.
        schema: String,
        /// The version of its last migration.
        found: i64,
        /// The version that this crate works with.
        needed: i64,
    },
    /// The role may not do what it must.
    #[error(
        "role {role:?} lacks a permission in schema {schema:?} ({error}): grant it what \
         docs/postgres.md lists"
    )]
    Permission {
        /// Which role.
        role: String,
        /// Which schema.
        schema: String,
        /// What the server said.
        error: sqlx::Error,
    },
    /// Sessions of this role do not run at READ COMMITTED.
    #[error(
        "default_transaction_isolation = {found:?} for role {role:?}: it must be 'read committed' \
         (alter role … set default_transaction_isolation = 'read committed')"
    )]
    Isolation {
        /// Which role.
        role: String,
        /// What is set.
        found: String,
    },
    /// The server is too old.
    #[error("the server is PostgreSQL {0}: 14 or later is needed")]
    Server(i32),
    /// The server cannot be reached, or refuses the connection.
    #[error("PostgreSQL at {address} cannot be used: {error}")]
    Unavailable {
        /// Host and port, or socket.
        address: String,
        /// What the client or the server said.
        error: sqlx::Error,
    },
    /// A migration failed, and was rolled back.
    #[error("schema {schema:?} was not migrated: {error}")]
    Migration {
        /// Which schema.
        schema: String,
        /// What went wrong.
        error: sqlx::migrate::MigrateError,
    },
}

impl ConnectError {
    /// What an error of a first statement says about the database.
    pub(crate) fn at_start(error: sqlx::Error, role: &str, schema: &Schema, address: &str) -> Self {
        let name = schema.as_str().to_owned();
        match code(&error).as_deref() {
            Some("3F000" | "42P01" | "42883") => Self::NotMigrated(name),
            Some("42501") => Self::Permission { role: role.to_owned(), schema: name, error },
            _ => Self::Unavailable { address: address.to_owned(), error },
        }
    }
}

/// What an error of a grouped statement means for the rows in it. None of them was written, or it
/// is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// One of the rows cannot be stored, whichever.
    Row,
    /// One of the rows is locked by somebody for longer than a statement waits.
    Locked,
    /// The statement lost against another one, and may be sent again as it is.
    Again,
    /// The connection is of no use any more.
    Connection,
    /// The database cannot do it now, perhaps on this connection only.
    Down,
}

impl Trouble {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        code(error).map_or(Self::Connection, |code| Self::of_code(&code))
    }

    fn of_code(code: &str) -> Self {
        match code.as_bytes() {
            // Data exception, constraint, program limit.
            [b'2', b'2' | b'3', ..] | [b'5', b'4', ..] => Self::Row,
            b"55P03" => Self::Locked,
            b"40001" | b"40P01" => Self::Again,
            // A server that became a replica: a new connection may find the new primary. Prepared
            // statements that are not there, or twice, or return something else since a migration:
            // a new connection prepares them anew.
            b"25006" | b"26000" | b"42P05" | [b'0', b'A', ..] => Self::Connection,
            // Connection exception, operator intervention, an aborted transaction left behind.
            [b'0', b'8', ..] | [b'5', b'7', ..] | [b'2', b'5', ..] => Self::Connection,
            _ => Self::Down,
        }
    }
}

/// The SQLSTATE, if the server answered.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned())
}

/// An error that several callers are told of.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Shared(Arc<sqlx::Error>);

impl Shared {
    pub(crate) fn new(error: sqlx::Error) -> Self {
        Self(Arc::new(error))
    }

    pub(crate) fn trouble(&self) -> Trouble {
        Trouble::of(&self.0)
    }

    /// What a caller is told: a row that cannot be stored is refused, everything else is an outage,
    /// whatever the reason, for nothing else can be the message's fault.
    pub(crate) fn to_store_error(&self) -> StoreError {
        match self.trouble() {
            Trouble::Row => StoreError::Refused(Box::new(self.clone())),
            _ => StoreError::Unavailable(Box::new(self.clone())),
        }
    }
}

pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    Shared::new(error).to_store_error()
}

/// The error of a server that does not answer.
pub(crate) fn no_answer(what: &str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, format!("{what} took too long")))
}

/// Whether the server, and not the transaction, is in trouble. A server that ends one that did nothing
/// for too long has an error of the transaction's class; a rule of the user's, checked at the commit, may
/// have any. What the client cannot make sense of is what a handler has left unread on its connection.
pub(crate) fn is_outage(error: &sqlx::Error) -> bool {
    use sqlx::Error::{BeginFailed, Io, PoolClosed, PoolTimedOut, Tls, WorkerCrashed};
    match code(error) {
        Some(code) => is_outage_code(&code),
        None => matches!(
            error,
            Io(_) | Tls(_) | PoolTimedOut | PoolClosed | WorkerCrashed | BeginFailed
        ),
    }
}

fn is_outage_code(code: &str) -> bool {
    let class = |class| code.starts_with(class);
    // Connection, resources but for a limit that the administrator has set on a statement, operator
    // intervention but for a cancelled statement, system error. Not 25006, that it takes no writes: it took
    // them when it lent the transaction, and a server that is demoted ends its sessions.
    class("08")
        || (class("53") && code != "53400")
        || (class("57") && code != "57014")
        || class("58")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_means_what_it_says_of_rows_and_transactions() {
        use Trouble::{Again, Connection, Down, Locked, Row};
        for (code, of_rows, is_outage) in [
            ("22021", Row, false),
            ("23514", Row, false),
            ("54000", Row, false),
            ("55P03", Locked, false),
            ("40001", Again, false),
            ("40P01", Again, false),
            // "Cached plan must not change result type", after a migration.
            ("0A000", Connection, false),
            ("26000", Connection, false),
            ("42P05", Connection, false),
            ("25006", Connection, false),
            ("25P02", Connection, false),
            ("25P03", Connection, false),
            ("08006", Connection, true),
            ("57014", Connection, false),
            ("57P01", Connection, true),
            ("57P03", Connection, true),
            ("53100", Down, true),
            ("53200", Down, true),
            ("53300", Down, true),
            ("53400", Down, false),
            ("58030", Down, true),
            ("42501", Down, false),
            ("42883", Down, false),
            ("XX000", Down, false),
            ("P0001", Down, false),
        ] {
            assert_eq!(Trouble::of_code(code), of_rows, "{code}");
            assert_eq!(is_outage_code(code), is_outage, "{code}");
        }
        for (error, outage) in [
            (no_answer("a test"), true),
            (sqlx::Error::PoolTimedOut, true),
            (sqlx::Error::WorkerCrashed, true),
            (sqlx::Error::BeginFailed, true),
            (sqlx::Error::Protocol("unexpected message: CopyData".to_owned()), false),
            (sqlx::Error::InvalidSavePointStatement, false),
        ] {
            assert_eq!(Trouble::of(&error), Connection, "{error}");
            assert_eq!(is_outage(&error), outage, "{error}");
        }
    }
}
