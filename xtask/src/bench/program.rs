//! A program of `bench/` that prints samples.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, ensure};

use super::figures::Figures;
use crate::workspace::{Workspace, run as run_to_end};

/// The program, and the servers that it is told of.
pub(crate) struct Program<'a> {
    workspace: &'a Workspace,
    name: &'static str,
    file: PathBuf,
    servers: Vec<String>,
}

impl<'a> Program<'a> {
    /// Builds it, at its best.
    pub(crate) fn build(workspace: &'a Workspace, name: &'static str) -> Result<Self> {
        run_to_end(workspace.cargo(["build", "--profile", "bench", "--package", name]))?;
        let file = workspace.target_dir().join("release").join(name);
        Ok(Self { workspace, name, file, servers: Vec::new() })
    }

    pub(crate) fn with_servers<'s>(self, servers: impl IntoIterator<Item = &'s str>) -> Self {
        Self { servers: servers.into_iter().map(str::to_owned).collect(), ..self }
    }

    /// Runs one part; what it prints.
    pub(crate) fn run(&self, part: &str) -> Result<String> {
        let name = self.name;
        let mut command = self.workspace.command(&self.file);
        let output = command
            .arg(part)
            .args(&self.servers)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{name}`"))?;
        ensure!(output.status.success(), "`{name} {part}` ended with {}", output.status);
        String::from_utf8(output.stdout).with_context(|| format!("what `{name}` printed"))
    }

    /// The tables of what one part prints, below the words on what it was measured on.
    pub(crate) fn section(&self, part: &str, version: &str) -> Result<String> {
        let printed = self.run(part)?;
        let tables = printed.split("\n\n").map(|text| Ok(Figures::read(text)?.table().to_string()));
        let tables = tables.collect::<Result<Vec<_>>>()?;
        Ok(format!("{}.\n\n{}", version.trim(), tables.join("\n")))
    }
}
