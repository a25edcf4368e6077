//! PostgreSQL remembers: idempotency that holds when processes die, for steadfast consumers.
//!
//! A [`PostgresStore`] keeps one record for each dedup key, fenced (a worker that lost its lease can
//! change nothing) and grouped (what happens at the same time travels in one statement). A handler
//! that asks its context for the [transaction](PostgresContext::transaction) writes its effects
//! there, and they commit together with the record, or not at all.
//!
//! ```no_run
//! # use steadfast::{Consumer, handler_fn};
//! # async fn example(broker: impl steadfast::broker::Broker) -> Result<(), Box<dyn std::error::Error>> {
//! # let charge = handler_fn(|_: String| async { Ok(()) });
//! use steadfast_postgres::{Config, PostgresStore, migrate};
//!
//! let config = Config::new(&std::env::var("DATABASE_URL")?)?;
//! migrate(&config).await?;
//! let store = PostgresStore::connect(&config).await?;
//! # let charge = Consumer::builder("charge", charge).source("orders").group("billing");
//! let consumer = charge.store(store).build(broker)?; // `charge`: your consumer's builder
//! # Ok(())
//! # }
//! ```
//!
//! What is promised, and what nobody can promise, stands in `docs/guarantees.md`; the schema, the
//! grants and what an operator should know in `docs/postgres.md`.

mod config;
mod error;
mod lane;
mod lender;
mod migrate;
mod rare;
mod reaper;
mod schema;
mod span;
mod statements;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod transaction;

pub use sqlx;

pub use self::{
    config::Config,
    error::ConnectError,
    migrate::migrate,
    store::PostgresStore,
    transaction::{PostgresContext, PostgresTransaction},
};
