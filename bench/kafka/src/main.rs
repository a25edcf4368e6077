//! Measures consumers on Kafka, and prints samples.
//!
//! `cargo xtask bench kafka` starts the servers, and writes tables of medians and spreads from what
//! is printed.

mod bare;
mod slow_key;
mod throughput;
mod topic;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Measures one part and prints a sample a line: row, column and value, with tabs between
#[derive(Parser)]
struct Args {
    part: Part,
    /// The bootstrap servers of Kafka
    kafka: String,
    /// Where PostgreSQL is; its role may make schemas
    postgres: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Measures nothing: what PostgreSQL and the client are
    Version,
    /// Messages that are settled in a second
    Throughput,
    /// What one key in a hundred that is slow does to the others
    SlowKey,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Args { part, kafka, postgres } = Args::parse();
    match part {
        Part::Version => {
            let (_, client) = rdkafka::util::get_rdkafka_version();
            println!("librdkafka {client}, {}", bench_measure::version(&postgres).await?);
        }
        Part::Throughput => throughput::run(&kafka, &postgres).await?,
        Part::SlowKey => slow_key::run(&kafka).await?,
    }
    Ok(())
}
