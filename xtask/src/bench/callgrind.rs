//! Counting instructions with valgrind's callgrind.

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::machine::first_line;
use crate::workspace::Workspace;

/// The function that a benchmark runs its work in. Only what happens in it is counted.
const REGION: &str = "*::region::measured*";

/// The version of valgrind, or what to do where there is none.
pub(crate) fn version(workspace: &Workspace) -> Result<String> {
    let mut command = workspace.command("valgrind");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        bail!(
            "instructions are counted by valgrind, which is not on the PATH: install the package \
             `valgrind` of your system (it runs on Linux and FreeBSD)"
        );
    }
    Ok(first_line(workspace.command("valgrind").arg("--version")))
}

/// The instructions that a program executes in its measured region.
pub(crate) fn count(workspace: &Workspace, program: &Path, args: &[&str]) -> Result<u64> {
    let written = workspace.target_dir().join("callgrind.out");
    let mut command = workspace.command("valgrind");
    command
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={REGION}"))
        .arg(format!("--callgrind-out-file={}", written.display()))
        .arg(program)
        .args(args);
    let output = command.output().context("cannot start valgrind")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "callgrind ended with {}\n{complaint}", output.status);
    let profile = fs::read_to_string(&written)
        .with_context(|| format!("cannot read {}", written.display()))?;
    let total = total(&profile).context("callgrind's profile has no total")?;
    ensure!(total > 0, "nothing was counted: the program has no function like `{REGION}`");
    Ok(total)
}

fn total(profile: &str) -> Option<u64> {
    let totals = profile.lines().find_map(|line| line.strip_prefix("totals:"));
    totals?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn the_total_stands_at_the_end_of_a_profile() {
        assert_eq!(total("events: Ir\nfn=(1) main\n1 2\ntotals: 4711\n"), Some(4711));
        assert_eq!(total("events: Ir\n"), None);
    }
}
