//! The PostgreSQL store on a real server, part by part.

use anyhow::Result;
use clap::ValueEnum;
use steadfast_test_servers::Postgres;

use super::program::Program;
use crate::workspace::Workspace;

/// One part, with a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
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

/// Runs these parts, all when none is named; the name of each section of results, and the section.
pub(crate) fn run(workspace: &Workspace, parts: &[Part]) -> Result<Vec<(String, String)>> {
    let parts = if parts.is_empty() { Part::value_variants() } else { parts };
    let program = Program::build(workspace, "bench-postgres")?;
    let mut server = Postgres::start(workspace.target_dir().join("bench/postgres"))?;
    let program = program.with_servers([server.url()]);
    program.run("prepare")?;
    server.stop()?;
    server.start_again()?;
    let version = program.run("version")?;
    let sections = parts.iter().map(|part| {
        let name = super::name_of(part);
        Ok((format!("postgres-{name}"), program.section(&name, &version)?))
    });
    sections.collect()
}
