//! Consumers on a real Kafka, beside a loop on the bare client, and beside a slow key.

use anyhow::Result;
use clap::ValueEnum;
use steadfast_test_servers::{Kafka, Postgres};

use super::program::Program;
use crate::workspace::Workspace;

/// One part, with a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Messages that are settled in a second
    Throughput,
    /// What one key in a hundred that is slow does to the others
    SlowKey,
}

/// Runs these parts, all when none is named; the name of each section of results, and the section.
pub(crate) fn run(workspace: &Workspace, parts: &[Part]) -> Result<Vec<(String, String)>> {
    let parts = if parts.is_empty() { Part::value_variants() } else { parts };
    let program = Program::build(workspace, "bench-kafka")?;
    let folder = workspace.target_dir().join("bench");
    let kafka = Kafka::start(folder.join("kafka"))?;
    let postgres = Postgres::start(folder.join("kafka-postgres"))?;
    let program = program.with_servers([kafka.url(), postgres.url()]);
    let version = program.run("version")?;
    let sections = parts.iter().map(|part| {
        let name = super::name_of(part);
        Ok((format!("kafka-{name}"), program.section(&name, &version)?))
    });
    sections.collect()
}
