//! Instructions and allocations per message, ours and the best peer's.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::{
    callgrind,
    table::{Table, thousands},
};
use crate::workspace::{Workspace, run as run_to_end};

/// One line of the table: its words, and the cases of `bench/core`, ours and the peer's.
type Line = (&'static str, &'static str, Option<&'static str>);

const LINES: &[Line] = &[
    ("decoding alone, small", "decode-small", None),
    ("decoding alone, 1 kB", "decode-kilobyte", None),
    ("the payload's digest alone, small", "digest-small", None),
    ("the payload's digest alone, 1 kB", "digest-kilobyte", None),
    ("**the whole stack, small**", "small", None),
    ("… 1 layer of yours", "one-layer", None),
    ("… 4 layers of yours", "four-layers", None),
    ("the whole stack, 1 kB", "kilobyte", None),
    ("… 1 layer of yours", "kilobyte-one-layer", None),
    ("… 4 layers of yours", "kilobyte-four-layers", None),
    ("the whole stack, small, every second fails once", "retry", None),
    ("the whole stack, small, a duplicate", "duplicate", None),
    ("no store, small", "no-store", Some("peer-sixteen")),
    ("one at a time, no store, small", "serial", Some("peer-small")),
    ("… 1 kB", "serial-kilobyte", Some("peer-kilobyte")),
    ("… small, 1 layer of yours", "serial-one-layer", Some("peer-one-layer")),
    ("… small, 4 layers of yours", "serial-four-layers", Some("peer-four-layers")),
    ("… small, half of them fail once", "serial-retry", Some("peer-retry")),
];

/// Messages in the two runs of a case.
const SHORT: u32 = 2_000;
const LONG: u32 = 10_000;

/// Runs all cases and returns their table.
pub(crate) fn run(workspace: &Workspace) -> Result<String> {
    let valgrind = callgrind::version(workspace)?;
    let programs = Programs::build(workspace)?;
    let heading =
        ["per message", "instructions", "allocations", "RustStream: instructions", "allocations"];
    let mut table = Table::new(&heading);
    for (words, ours, peers) in LINES {
        println!("    {ours}");
        let mut row = vec![(*words).to_owned()];
        row.extend(programs.cost(ours)?);
        row.extend(match peers {
            Some(peers) => programs.cost(peers)?,
            None => ["–", "–"].map(str::to_owned),
        });
        table.push(row);
    }
    let between = LONG - SHORT;
    Ok(format!(
        "Counted by {valgrind}: (a run of {LONG} - a run of {SHORT}) / {between}.\n\n{table}"
    ))
}

/// The two programs that run a case.
struct Programs<'a> {
    workspace: &'a Workspace,
    folder: PathBuf,
}

impl<'a> Programs<'a> {
    fn build(workspace: &'a Workspace) -> Result<Self> {
        run_to_end(
            workspace.cargo("build --profile bench --package bench-core --bins".split(' ')),
        )?;
        Ok(Self { workspace, folder: workspace.target_dir().join("release") })
    }

    /// Instructions and allocations per message, in words.
    fn cost(&self, case: &str) -> Result<[String; 2]> {
        let instructions = per_message(|messages| self.instructions(case, messages))?;
        let allocations = per_message(|messages| self.allocations(case, messages))?;
        Ok([thousands(instructions.round() as u64), format!("{allocations:.2}")])
    }

    fn instructions(&self, case: &str, messages: &str) -> Result<u64> {
        callgrind::count(self.workspace, &self.folder.join("instructions"), &[case, messages])
    }

    fn allocations(&self, case: &str, messages: &str) -> Result<u64> {
        let mut command = self.workspace.command(self.folder.join("allocations"));
        let output =
            command.args([case, messages]).output().context("cannot start `allocations`")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`allocations` ended with {}\n{complaint}", output.status);
        String::from_utf8_lossy(&output.stdout).trim().parse().context("a count of allocations")
    }
}

/// What one message adds to a count once everything is warm.
fn per_message(count: impl Fn(&str) -> Result<u64>) -> Result<f64> {
    let (short, long) = (count(&SHORT.to_string())?, count(&LONG.to_string())?);
    let between =
        long.checked_sub(short).context("a longer run cost less: was the region left?")?;
    Ok(between as f64 / f64::from(LONG - SHORT))
}

#[cfg(test)]
mod tests {
    use super::per_message;

    #[test]
    fn what_happens_once_does_not_count() {
        let counted = |messages: &str| Ok(5_000 + 3 * messages.parse::<u64>()?);
        assert_eq!(per_message(counted).unwrap(), 3.0);
    }
}
