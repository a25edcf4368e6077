//! How to reach the database.

use std::{fmt, str::FromStr, time::Duration};

use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::{ConnectError, error::no_answer, lane::DEADLINE, schema::Schema};

/// Where the records live, and how many connections may be used.
///
/// | setting | default | |
/// |---|---|---|
/// | [`schema`](Config::schema) | `steadfast` | the schema of our tables |
/// | [`lanes`](Config::lanes) | 8 | connections for records |
/// | [`transactions`](Config::transactions) | 16 | connections lent to handlers, as many as are asked for at a time |
/// | [`idle_in_transaction`](Config::idle_in_transaction) | 60 s | how long a lent transaction may do nothing |
///
/// Two more connections serve what is rare: reaping, redrives, tools. Beside those that are lent, as many and
/// four more may be open: they were given back, and are looked at, or at rest, or being closed.
#[derive(Clone)]
pub struct Config {
    pub(crate) options: PgConnectOptions,
    pub(crate) schema: Schema,
    pub(crate) lanes: u32,
    pub(crate) transactions: u32,
    pub(crate) idle_in_transaction: Duration,
}

impl Config {
    /// A database by its URL, `postgres://user:password@host:port/database`, with the parameters
    /// of [`PgConnectOptions`], such as `sslmode`.
    ///
    /// # Errors
    /// When the URL cannot be read. It is not repeated in the error.
    pub fn new(url: &str) -> Result<Self, ConnectError> {
        Ok(Self::with(PgConnectOptions::from_str(url).map_err(|_| ConnectError::Url)?))
    }

    /// A database by the client's own options.
    pub fn with(options: PgConnectOptions) -> Self {
        Self {
            options: options.disable_statement_logging().application_name("steadfast"),
            schema: Schema::new(Schema::DEFAULT).expect("the default is well-formed"),
            lanes: 8,
            transactions: 16,
            idle_in_transaction: Duration::from_secs(60),
        }
    }

    /// The schema that holds the tables. One schema can serve any number of consumers.
    ///
    /// # Errors
    /// Unless it is 1 to 63 lower-case letters, digits and `_`.
    pub fn schema(mut self, name: &str) -> Result<Self, ConnectError> {
        self.schema = Schema::new(name)?;
        Ok(self)
    }

    /// Connections for records, 1 to 64. So many calls are made at once, each as it comes; what comes
    /// while all are at work travels together, in one statement. Few are enough.
    ///
    /// # Errors
    /// When it is out of bounds.
    pub fn lanes(mut self, lanes: u32) -> Result<Self, ConnectError> {
        self.lanes = bounded("lanes", lanes, 1..=64, "1 to 64")?;
        Ok(self)
    }

    /// Connections for lent transactions, 1 to 1,000: as many as there are handlers at work. A handler
    /// that asks while all are lent waits, and its timeout goes on; one that waits in vain is given back
    /// uncounted, and intake pauses.
    ///
    /// # Errors
    /// When it is out of bounds.
    pub fn transactions(mut self, connections: u32) -> Result<Self, ConnectError> {
        self.transactions = bounded("transactions", connections, 1..=1000, "1 to 1000")?;
        Ok(self)
    }

    /// How long a lent transaction may do nothing before the server ends it, so that a process that
    /// hangs does not hold its locks for ever. Whole milliseconds, at least one.
    ///
    /// # Errors
    /// When it is shorter than a millisecond or longer than 24 days, the server's bound.
    pub fn idle_in_transaction(mut self, limit: Duration) -> Result<Self, ConnectError> {
        let millis = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        bounded("idle_in_transaction", millis, 1..=i32::MAX as u32, "1 ms to 24 days (in ms)")?;
        self.idle_in_transaction = limit;
        Ok(self)
    }

    /// A connection for what is done once.
    pub(crate) async fn connect(&self) -> Result<PgConnection, ConnectError> {
        let connected = timeout(DEADLINE, self.options.connect()).await;
        connected
            .unwrap_or_else(|_| Err(no_answer("connecting")))
            .map_err(|error| ConnectError::Unavailable { address: self.address(), error })
    }

    /// Host and port, for errors.
    pub(crate) fn address(&self) -> String {
        match self.options.get_socket() {
            Some(path) => path.display().to_string(),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        }
    }

    pub(crate) fn role(&self) -> &str {
        self.options.get_username()
    }
}

/// Shows no password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("address", &self.address())
            .field("database", &self.options.get_database())
            .field("schema", &self.schema.as_str())
            .field("lanes", &self.lanes)
            .field("transactions", &self.transactions)
            .field("idle_in_transaction", &self.idle_in_transaction)
            .finish_non_exhaustive()
    }
}

fn bounded(
    setting: &'static str,
    found: u32,
    bounds: std::ops::RangeInclusive<u32>,
    needed: &'static str,
) -> Result<u32, ConnectError> {
    if bounds.contains(&found) {
        return Ok(found);
    }
    Err(ConnectError::Setting { setting, found: found.into(), needed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_errors_nor_debug_show_the_password() {
        let config = Config::new("postgres://billing:hunter2@db.example:5433/orders").unwrap();
        let shown = format!("{config:?}");
        assert!(shown.contains("db.example:5433") && !shown.contains("hunter2"), "{shown}");
        let refused = Config::new("postgres://billing:hunter2@[::1").unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("hunter2"));
    }

    #[test]
    fn settings_out_of_bounds_are_refused_by_name() {
        let config = || Config::new("postgres://localhost").unwrap();
        for (refused, setting) in [
            (config().lanes(0), "lanes = 0"),
            (config().lanes(65), "lanes = 65"),
            (config().transactions(0), "transactions = 0"),
            (config().idle_in_transaction(Duration::ZERO), "idle_in_transaction = 0"),
            (config().idle_in_transaction(Duration::MAX), "idle_in_transaction = 4294967295"),
            (config().schema("Public"), "schema = \"Public\""),
        ] {
            let words = refused.unwrap_err().to_string();
            assert!(words.starts_with(setting), "{words}");
        }
    }
}
