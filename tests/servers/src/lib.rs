//! Real servers for tests: where they are, and servers of your own to stop, kill and restart.
//!
//! A test that only needs a server asks where it is. `cargo xtask test` has started it; while you work,
//! `cargo xtask services up` does.
//!
//! ```no_run
//! let url = steadfast_test_servers::postgres_url();
//! ```
//!
//! A test that stops, kills or fills a server starts one of its own, in a folder of its own:
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use steadfast_test_servers::Postgres;
//!
//! let mut server = Postgres::start("target/tmp/outage")?;
//! server.kill_immediately()?;
//! server.start_again()?; // the same URL
//! # Ok(())
//! # }
//! ```
//!
//! What else can go wrong: [`Proxy`], a network that fails on command; [`Process`], a child program to be
//! stopped and killed; [`skew_clock`], a child's clock that is wrong.

mod account;
mod daemon;
mod debian;
mod docker;
mod home;
mod kafka;
mod management;
mod places;
mod postgres;
mod process;
mod proxy;
mod rabbitmq;
mod server;
mod service;
mod skew;

pub use kafka::Kafka;
pub use management::Management;
pub use postgres::Postgres;
pub use process::Process;
pub use proxy::Proxy;
pub use rabbitmq::{RabbitMq, RabbitMq4};
pub use server::Server;
pub use service::Service;
pub use skew::skew_clock;

/// Where PostgreSQL is: `STEADFAST_POSTGRES_URL`, else what `cargo xtask services up` started.
///
/// # Panics
/// When there is neither. A test that needs a server is never skipped in silence.
#[must_use]
pub fn postgres_url() -> String {
    found(Service::Postgres)
}

/// Where RabbitMQ 3.10 is: `STEADFAST_RABBITMQ_URL`, else what `cargo xtask services up` started.
///
/// # Panics
/// As [`postgres_url`].
#[must_use]
pub fn rabbitmq_url() -> String {
    found(Service::RabbitMq)
}

/// Where RabbitMQ 4 is: `STEADFAST_RABBITMQ4_URL`, else what `cargo xtask services up` started.
///
/// # Panics
/// As [`postgres_url`].
#[must_use]
pub fn rabbitmq4_url() -> String {
    found(Service::RabbitMq4)
}

/// The bootstrap servers of Kafka 4: `STEADFAST_KAFKA`, else what `cargo xtask services up` started.
///
/// # Panics
/// As [`postgres_url`].
#[must_use]
pub fn kafka() -> String {
    found(Service::Kafka)
}

fn found(service: Service) -> String {
    service.url().unwrap_or_else(|problem| panic!("{problem}"))
}

/// A line of progress, for whoever waits.
fn say(line: &str) {
    eprintln!("    {line}");
}
