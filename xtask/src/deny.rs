//! What dependencies may bring along: licences, banned crates, sources, advisories (cargo-deny).

use std::{
    ffi::OsString,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    capture::{Captured, capture},
    totals::Totals,
    workspace::{Workspace, run},
};

/// The versions whose settings `deny.toml` is written for.
const PACKAGE: &str = "cargo-deny@^0.20";

/// A guard against a network that swallows packets instead of refusing them.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// How cargo-deny reports that there is no database to check against.
const NOT_FETCHED: &str = "[ERROR] failed to fetch advisory database";

/// Licences, bans and sources: all that can be judged without the advisory database.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut command = cargo_deny(workspace)?;
    command.args("--all-features check licenses bans sources".split(' '));
    run(command)
}

/// Advisories: skipped, loudly, when their database cannot be fetched.
pub(crate) fn check_advisories(workspace: &Workspace) -> Result<Totals> {
    let mut command = cargo_deny(workspace)?;
    command.args("--all-features check advisories".split(' '));
    command.env("CARGO_TERM_COLOR", "never").env("GIT_TERMINAL_PROMPT", "0");
    println!("    $ cargo-deny --all-features check advisories");
    let Captured { output, status } = capture(command, LIMIT)?;
    print!("{output}");
    match status {
        Some(status) if status.success() => Ok(Totals::PASSED),
        Some(status) if !output.contains(NOT_FETCHED) => bail!("`cargo-deny` ended with {status}"),
        _ => {
            println!("advisories: NOT CHECKED (the advisory database could not be fetched)");
            Ok(Totals::SKIPPED)
        }
    }
}

/// cargo-deny from the target folder or the PATH; else it is installed into the target folder.
fn cargo_deny(workspace: &Workspace) -> Result<Command> {
    let tools = workspace.target_dir().join("tools");
    let installed = tools.join("bin").join("cargo-deny");
    for program in [installed.clone().into_os_string(), OsString::from("cargo-deny")] {
        if is_there(workspace.command(&program)) {
            return Ok(workspace.command(program));
        }
    }
    println!("    cargo-deny is not installed: installing it, which takes minutes, but once");
    let mut install = workspace.cargo(["install", "--locked", PACKAGE, "--root"]);
    install.arg(&tools);
    // It runs for seconds: what counts is how long it takes to build.
    for (setting, value) in [("OPT_LEVEL", "1"), ("LTO", "off"), ("CODEGEN_UNITS", "16")] {
        install.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    run(install).context(
        "cargo-deny could not be installed: install it yourself with \
         `cargo install --locked cargo-deny` and see that it is on the PATH",
    )?;
    Ok(workspace.command(installed))
}

fn is_there(mut command: Command) -> bool {
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
