//! Consumers on a real RabbitMQ, beside a loop on the bare client.

use anyhow::Result;
use steadfast_test_servers::{Postgres, RabbitMq4};

use super::program::Program;
use crate::workspace::Workspace;

/// Runs it; the section of results.
pub(crate) fn run(workspace: &Workspace) -> Result<String> {
    let program = Program::build(workspace, "bench-rabbitmq")?;
    let folder = workspace.target_dir().join("bench");
    let rabbitmq = RabbitMq4::start(folder.join("rabbitmq"))?;
    let postgres = Postgres::start(folder.join("rabbitmq-postgres"))?;
    let program = program.with_servers([rabbitmq.url(), postgres.url()]);
    // The command `version` would need an installed Erlang.
    let server = rabbitmq.ctl(&["eval", "rabbit_misc:version()."])?;
    let server = server.trim().trim_matches('"');
    let version = format!("RabbitMQ {server}, {}", program.run("version")?);
    program.section("throughput", &version)
}
