//! The one entry for checking and measuring this workspace, for a person and for CI, and for the
//! servers that its tests need.

mod bench;
mod capture;
mod cargo_test;
mod components;
mod deny;
mod examples;
mod expected;
mod layering;
mod pattern;
mod report;
mod running;
mod services;
mod steps;
mod times;
mod totals;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    bench::Bench, report::Report, running::Running, services::Services, steps::Step,
    workspace::Workspace,
};

/// Everything that this workspace is checked and measured with, behind one command.
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
    /// Starts, stops and shows the servers that the tests need
    ///
    /// Each lives in a folder of its own below target/services and listens on loopback, on a free
    /// port. `cargo xtask test` starts and stops them by itself: this is for work on single tests.
    #[command(subcommand)]
    Services(Services),
    /// Measures what things cost, prints a table and writes it into docs/benchmarks.md
    #[command(subcommand)]
    Bench(Bench),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Test { long, only } => test(Workspace::find()?.with_long_tests(long), &only),
        Command::Bench(bench) => bench.run(&Workspace::find()?).map(|()| ExitCode::SUCCESS),
        Command::Services(services) => services.run().map(|()| ExitCode::SUCCESS),
    }
}

fn test(mut workspace: Workspace, only: &[Step]) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let servers = Running::stopped_with_us()?;
    for step in Step::selected(only) {
        if step.needs_servers() && !servers.were_started() {
            report.run("servers".to_owned(), || servers.start(&mut workspace));
        }
        report.run(step.name(), || step.run(&workspace));
    }
    drop(servers);
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
