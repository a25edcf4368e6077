//! `cargo xtask bench`: what things cost, measured so that anybody can measure it again.

mod callgrind;
mod core;
mod document;
mod figures;
mod kafka;
mod machine;
mod postgres;
mod program;
mod rabbitmq;
mod table;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};

use self::{document::Document, machine::Machine};
use crate::workspace::Workspace;

/// One benchmark.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Counts instructions and allocations per message of the whole consumer stack in memory
    ///
    /// Each case runs twice, short and long, under callgrind and with an allocator that counts; the
    /// difference, divided by the messages between, is what one message costs once everything is
    /// warm. The best peer's core runs beside it. Needs valgrind. Prints a table and writes it into
    /// docs/benchmarks.md.
    Core,
    /// Measures the PostgreSQL store beside an inbox written by hand, on a server of its own
    ///
    /// The server is as durable as in production and lies in target/bench. What is compared takes
    /// turns within one run, round after round; each figure is a median, with the least and the
    /// greatest round in brackets. Prints a table for each part and writes them into
    /// docs/benchmarks.md. Takes about ten minutes and five gigabytes of disk.
    Postgres {
        /// Runs these parts only
        #[arg(value_name = "PART")]
        parts: Vec<postgres::Part>,
    },
    /// Measures consumers on RabbitMQ beside a loop on the bare client, on servers of its own
    ///
    /// The loop, a consumer without a store and one with PostgreSQL take turns, round after round,
    /// on a queue that is filled before each; each figure is a median, with the least and the
    /// greatest round in brackets. Servers lie in target/bench. Prints a table and writes it into
    /// docs/benchmarks.md. Takes about ten minutes.
    Rabbitmq,
    /// Measures consumers on Kafka beside a loop on the bare client, on servers of its own
    ///
    /// As `rabbitmq`, for one and for twelve partitions, and in order by key; and what keys whose
    /// messages are slow do to the others. Takes about twenty minutes.
    Kafka {
        /// Runs these parts only
        #[arg(value_name = "PART")]
        parts: Vec<kafka::Part>,
    },
}

impl Bench {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        let sections = match self {
            Self::Core => vec![("core".to_owned(), core::run(workspace)?)],
            Self::Postgres { parts } => postgres::run(workspace, parts)?,
            Self::Rabbitmq => vec![("rabbitmq".to_owned(), rabbitmq::run(workspace)?)],
            Self::Kafka { parts } => kafka::run(workspace, parts)?,
        };
        let (machine, document) = (Machine::look(workspace), Document::of(workspace));
        for (name, text) in sections {
            let section = format!("{machine}\n\n{text}");
            println!("\n{section}");
            document.replace(&name, &section)?;
        }
        Ok(())
    }
}

/// A part as it is written on the command line.
fn name_of(part: &impl ValueEnum) -> String {
    part.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
