//! Measures one part of what the PostgreSQL store costs, and prints its samples.
//!
//! `cargo xtask bench postgres` starts a server, runs every part against it, and writes tables of
//! medians and spreads from what is printed.

mod duplicates;
mod inbox;
mod latency;
mod lent;
mod limits;
mod load;
mod pages;
mod prepare;
mod server;
mod size;
mod throughput;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::server::Server;

/// Measures one part and prints a sample a line: row, column and value, with tabs between
#[derive(Parser)]
struct Args {
    part: Part,
    /// Where the server is; this role must be its superuser
    url: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Measures nothing: settings of the server, which hold once it has started again
    Prepare,
    /// Measures nothing: what the server is
    Version,
    /// Claims and completions a second, and statements a message
    Throughput,
    /// What one message waits for when it is alone
    Latency,
    /// Messages of which some have been done
    Duplicates,
    /// Handlers that write in the lent transaction
    Lent,
    /// Ten thousand records against ten million
    Size,
    /// What the server can do at most
    Limits,
    /// How full pages may be
    Pages,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Args { part, url } = Args::parse();
    // In a task, as a consumer's workers are: the main thread would have to be woken by another one.
    tokio::spawn(measure(part, Server::new(url))).await?
}

async fn measure(part: Part, server: Server) -> Result<()> {
    match part {
        Part::Prepare => prepare::run(&server).await,
        Part::Version => {
            println!("{}", bench_measure::version(server.url()).await?);
            Ok(())
        }
        Part::Throughput => throughput::run(&server).await,
        Part::Latency => latency::run(&server).await,
        Part::Duplicates => duplicates::run(&server).await,
        Part::Lent => lent::run(&server).await,
        Part::Size => size::run(&server).await,
        Part::Limits => limits::run(&server).await,
        Part::Pages => pages::run(&server).await,
    }
}
