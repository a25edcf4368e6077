//! What is refused at start (P16): one list of rules, each a function with its words.

mod at_start;
mod before_start;

use std::fmt;

use super::policy::Policy;
use crate::{broker::Capabilities, store::Scope};

/// One setting that does not fit, with what would.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The setting, as the builder names it.
    pub setting: &'static str,
    /// Its value.
    pub found: String,
    /// What it needs to be.
    pub needed: String,
    /// Why.
    pub why: &'static str,
}

/// Everything that does not fit, not only the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is refused:")?;
        for Finding { setting, found, needed, why } in &self.0 {
            write!(f, "\n  {setting} is {found}: needs {needed}, because {why}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// What the rules look at.
pub(crate) struct Facts<'a> {
    pub(crate) policy: &'a Policy,
    /// Whether there is a store, and whether it lends transactions.
    pub(crate) store: Option<bool>,
    pub(crate) has_dedup_key: bool,
    pub(crate) dedup_by_message_id: bool,
}

/// Applies the rules that need no broker.
pub(crate) fn before_start(facts: &Facts<'_>) -> Result<(), Findings> {
    collect(before_start::RULES.iter().filter_map(|rule| rule(facts)))
}

/// Applies the rules about what the broker can do.
pub(crate) fn at_start(facts: &Facts<'_>, capabilities: &Capabilities) -> Result<(), Findings> {
    collect(at_start::RULES.iter().filter_map(|rule| rule(facts, capabilities)))
}

fn collect(findings: impl Iterator<Item = Finding>) -> Result<(), Findings> {
    let findings: Vec<_> = findings.collect();
    if findings.is_empty() { Ok(()) } else { Err(Findings(findings)) }
}

/// The scope of the records, once the names have been checked.
pub(crate) fn scope(policy: &Policy) -> Result<Scope, Findings> {
    Scope::new(&policy.name, &policy.group, policy.generation).map_err(|words| {
        Findings(vec![Finding {
            setting: "name and group",
            found: words,
            needed: "shorter names".into(),
            why: "together they name the scope of the records",
        }])
    })
}
