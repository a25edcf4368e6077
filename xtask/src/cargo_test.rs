//! `cargo test`, counted.

use anyhow::{Result, ensure};

use crate::{
    times::Times,
    totals::Totals,
    workspace::{Workspace, run_watched},
};

/// Every target but the documentation.
pub(crate) fn all_targets(workspace: &Workspace) -> Result<Totals> {
    let totals = count(workspace, "--all-targets")?;
    ensure!(totals.passed + totals.failed > 0, "not a single test ran");
    Ok(totals)
}

/// The examples in the documentation.
pub(crate) fn docs(workspace: &Workspace) -> Result<Totals> {
    count(workspace, "--doc")
}

fn count(workspace: &Workspace, targets: &str) -> Result<Totals> {
    // Without --no-fail-fast the first failing crate hides the others and the totals are too small.
    let args = ["test", "--workspace", "--all-features", targets, "--no-fail-fast"];
    let (mut totals, mut times) = (Totals::default(), Times::default());
    let ended = run_watched(workspace.cargo_test(args), |line| {
        totals += Totals::parse(line).unwrap_or_default();
        times.read(line);
    });
    println!("    tests alone: {times}");
    match ended {
        // Tests that said so themselves are the better count; what did not compile, or died, said nothing.
        Err(problem) if totals.failed > 0 => eprintln!("{problem:#}"),
        Err(problem) => {
            eprintln!("{problem:#}");
            totals += Totals::FAILED;
        }
        Ok(()) => {}
    }
    Ok(totals)
}
