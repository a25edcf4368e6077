//! The one entry for checking this workspace: `cargo xtask test`, for a person and for CI.

mod capture;
mod cargo_test;
mod components;
mod deny;
mod examples;
mod expected;
mod layering;
mod pattern;
mod report;
mod steps;
mod totals;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{report::Report, steps::Step, workspace::Workspace};

/// Everything that this workspace is checked with, behind one command.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every check, in order, and ends with `N passed, N failed, N skipped`
    ///
    /// A step that fails does not stop the ones after it. Tests are counted one by one, examples
    /// one by one, and every other step as one test. The exit code is 0 only when nothing failed
    /// and something passed.
    Test {
        /// Runs the long variants of the tests too (they see STEADFAST_LONG=1)
        #[arg(long)]
        long: bool,
        /// Runs this step only; give it several times, or a list with commas, for several steps
        #[arg(long, value_name = "STEP", value_delimiter = ',')]
        only: Vec<Step>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Test { long, only } => test(&Workspace::find()?.with_long_tests(long), &only),
    }
}

fn test(workspace: &Workspace, only: &[Step]) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    for step in Step::selected(only) {
        report.run(step.name(), || step.run(workspace));
    }
    print!("{report}");
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod cli {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
