//! The servers that a person or CI starts for a whole run of tests.

use std::{env, fmt, fs, path::PathBuf, str::FromStr};

use anyhow::{Context as _, Result, bail};

use crate::{Kafka, Postgres, RabbitMq, RabbitMq4, daemon::Daemon, docker, places};

/// A server that `cargo xtask services` knows by name.
// Exhaustive on purpose: this crate is not published, and a new server must find its place everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// PostgreSQL.
    Postgres,
    /// RabbitMQ 3.10.
    RabbitMq,
    /// RabbitMQ 4.
    RabbitMq4,
    /// Apache Kafka 4.
    Kafka,
}

impl Service {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Postgres, Self::RabbitMq, Self::RabbitMq4, Self::Kafka];

    /// As on the command line and in the target folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::RabbitMq => "rabbitmq",
            Self::RabbitMq4 => "rabbitmq4",
            Self::Kafka => "kafka",
        }
    }

    /// The environment variable that tells tests where it is.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "STEADFAST_POSTGRES_URL",
            Self::RabbitMq => "STEADFAST_RABBITMQ_URL",
            Self::RabbitMq4 => "STEADFAST_RABBITMQ4_URL",
            Self::Kafka => "STEADFAST_KAFKA",
        }
    }

    /// The environment variable that tells tests where its management plug-in is, if it has one.
    pub(crate) fn management_variable(self) -> Option<&'static str> {
        match self {
            Self::RabbitMq => Some("STEADFAST_RABBITMQ_MANAGEMENT"),
            Self::RabbitMq4 => Some("STEADFAST_RABBITMQ4_MANAGEMENT"),
            Self::Postgres | Self::Kafka => None,
        }
    }

    /// Its folder, in the target folder.
    #[must_use]
    pub fn folder(self) -> PathBuf {
        places::service(self.name())
    }

    /// Starts it and leaves it running, or finds it running; the answer is where it is. Where it cannot
    /// be started natively, it is started in Docker, if there is one.
    ///
    /// # Errors
    /// When it is not there, cannot be fetched or does not start; the message says what to do.
    pub fn up(self) -> Result<String> {
        let native = match self {
            Self::Postgres => Postgres::start(self.folder()).map(Postgres::leave_running),
            Self::RabbitMq => RabbitMq::start(self.folder()).map(RabbitMq::leave_running),
            Self::RabbitMq4 => RabbitMq4::start(self.folder()).map(RabbitMq4::leave_running),
            Self::Kafka => Kafka::start(self.folder()).map(Kafka::leave_running),
        };
        native.or_else(|problem| match docker::is_there() {
            true => docker::up(self).with_context(|| format!("not natively either: {problem:#}")),
            false => Err(problem),
        })
    }

    /// Stops what [`up`](Self::up) started; whether there was something to stop.
    ///
    /// # Errors
    /// When its process cannot be ended.
    pub fn down(self) -> Result<bool> {
        if docker::down(self)? {
            return Ok(true);
        }
        match self {
            Self::Postgres => Postgres::end_what_runs_in(&self.folder()),
            Self::RabbitMq => RabbitMq::end_what_runs_in(&self.folder()),
            Self::RabbitMq4 => RabbitMq4::end_what_runs_in(&self.folder()),
            Self::Kafka => Kafka::end_what_runs_in(&self.folder()),
        }
    }

    /// The id of its process, when `up` started it and it runs.
    #[must_use]
    pub fn pid(self) -> Option<u32> {
        Daemon::find(self.folder().join("pid")).map(|process| process.id())
    }

    /// What it prints, when `up` started it.
    #[must_use]
    pub fn log(self) -> PathBuf {
        self.folder().join("log")
    }

    /// Where tests find it: what the variable says, else where `up` started it.
    ///
    /// # Errors
    /// When there is neither; the message names the command that starts it.
    pub fn url(self) -> Result<String> {
        match env::var(self.variable()).ok().or_else(|| self.own_url()) {
            Some(url) => Ok(url),
            None => bail!(
                "this test needs a running {name}: start one with `cargo xtask services up {name}`, or say \
                 in {variable} where one is",
                name = self.name(),
                variable = self.variable(),
            ),
        }
    }

    /// Where `up` started it, while it runs.
    fn own_url(self) -> Option<String> {
        let url = fs::read_to_string(self.folder().join("url")).ok()?;
        let runs = self.pid().is_some() || docker::has_started(self);
        runs.then(|| url.trim_end().to_owned())
    }

    /// Whether tests find the one that `up` started.
    pub(crate) fn is_own(self) -> bool {
        self.own_url().is_some_and(|own| self.url().is_ok_and(|url| url == own))
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Service {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.iter().find(|service| service.name() == name);
        known.copied().with_context(|| {
            let names: Vec<_> = Self::ALL.iter().map(|service| service.name()).collect();
            format!("there is no such server; there are {}", names.join(", "))
        })
    }
}
