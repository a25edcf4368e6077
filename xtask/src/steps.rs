//! The steps of `cargo xtask test`, in the order in which they run.

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    cargo_test, components, deny, examples, layering,
    totals::Totals,
    workspace::{Workspace, run},
};

/// One named check.
// The order here is the order in which they run: what is cheap and often wrong comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Every file is formatted
    Fmt,
    /// No warning from clippy, on all targets with all features
    Clippy,
    /// The documentation builds without a warning
    Docs,
    /// Unit and integration tests, benches and examples as tests
    Tests,
    /// The examples in the documentation run
    DocTests,
    /// The core pulls in no broker client, no database, no network stack
    Layering,
    /// Every folder in examples/ prints what its expected.txt says
    Examples,
    /// Licences, banned crates and sources of all dependencies
    Deny,
    /// Known advisories against dependencies, when their database can be fetched
    Advisories,
}

impl Step {
    /// The steps asked for, or all of them when none is, each once and in order.
    pub(crate) fn selected(only: &[Self]) -> impl Iterator<Item = Self> {
        let asked = |step: &Self| only.is_empty() || only.contains(step);
        Self::value_variants().iter().copied().filter(asked)
    }

    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it runs tests, which find their servers running.
    pub(crate) fn needs_servers(self) -> bool {
        matches!(self, Self::Tests | Self::DocTests | Self::Examples)
    }

    pub(crate) fn run(self, workspace: &Workspace) -> Result<Totals> {
        match self {
            Self::Fmt => one(fmt(workspace)),
            Self::Clippy => one(clippy(workspace)),
            Self::Docs => one(docs(workspace)),
            Self::Tests => cargo_test::all_targets(workspace),
            Self::DocTests => cargo_test::docs(workspace),
            Self::Layering => one(layering::check(workspace)),
            Self::Examples => examples::check(workspace),
            Self::Deny => one(deny::check(workspace)),
            Self::Advisories => deny::check_advisories(workspace),
        }
    }
}

/// A step that is counted as a single test.
fn one(result: Result<()>) -> Result<Totals> {
    result.map(|()| Totals::PASSED)
}

fn fmt(workspace: &Workspace) -> Result<()> {
    components::require(workspace, "fmt", "rustfmt")?;
    run(workspace.cargo("fmt --all -- --check".split(' ')))
}

fn clippy(workspace: &Workspace) -> Result<()> {
    components::require(workspace, "clippy", "clippy")?;
    let args = "clippy --workspace --all-targets --all-features -- -D warnings";
    run(workspace.cargo(args.split(' ')))
}

fn docs(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo("doc --workspace --no-deps --all-features".split(' '));
    command.env("RUSTDOCFLAGS", "-D warnings");
    run(command)
}

#[cfg(test)]
mod order {
    use super::Step;

    #[test]
    fn all_steps_run_when_none_is_named() {
        let steps: Vec<_> = Step::selected(&[]).collect();
        assert_eq!(steps.first(), Some(&Step::Fmt));
        assert_eq!(steps.last(), Some(&Step::Advisories));
        assert_eq!(steps.len(), 9);
    }

    #[test]
    fn named_steps_run_once_and_in_the_usual_order() {
        let steps: Vec<_> = Step::selected(&[Step::Deny, Step::Fmt, Step::Deny]).collect();
        assert_eq!(steps, [Step::Fmt, Step::Deny]);
    }

    #[test]
    fn a_step_is_named_as_on_the_command_line() {
        assert_eq!(Step::DocTests.name(), "doc-tests");
    }
}
