//! Parts of the toolchain that a step needs and that may be absent.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;

/// Says which component to add when `cargo <subcommand>` is not there.
pub(crate) fn require(workspace: &Workspace, subcommand: &str, component: &str) -> Result<()> {
    let status = workspace
        .cargo([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("`cargo {subcommand}` is not installed: run `rustup component add {component}`");
    }
    Ok(())
}
