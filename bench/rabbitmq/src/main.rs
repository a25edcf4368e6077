//! Measures consumers on RabbitMQ, and prints samples.
//!
//! `cargo xtask bench rabbitmq` starts the servers, and writes a table of medians and spreads from
//! what is printed.

mod bare;
mod queue;
mod throughput;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Measures one part and prints a sample a line: row, column and value, with tabs between
#[derive(Parser)]
struct Args {
    part: Part,
    /// Where RabbitMQ is
    rabbitmq: String,
    /// Where PostgreSQL is; its role may make schemas
    postgres: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Measures nothing: what PostgreSQL is
    Version,
    /// Messages that are settled in a second
    Throughput,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Args { part, rabbitmq, postgres } = Args::parse();
    match part {
        Part::Version => println!("{}", bench_measure::version(&postgres).await?),
        Part::Throughput => throughput::run(&rabbitmq, &postgres).await?,
    }
    Ok(())
}
