//! What a rule has found.

use std::fmt;

/// One setting that does not fit, with what would. `docs/checks.md` explains every rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The name of the rule.
    pub rule: &'static str,
    /// Whether it keeps the consumer from starting.
    pub severity: Severity,
    /// The setting, as the builder names it.
    pub setting: &'static str,
    /// Its value.
    pub found: String,
    /// What it needs to be.
    pub needed: String,
    /// Why.
    pub why: &'static str,
}

/// Whether a finding keeps the consumer from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Severity {
    /// It does.
    Error,
    /// It is logged at start, unless [acknowledged](crate::Builder::acknowledge).
    Warning,
}

/// Every error, not only the first, and beside them the warnings that nobody has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

/// A finding, but for the rule that found it.
pub(super) struct Mismatch {
    pub(super) setting: &'static str,
    pub(super) found: String,
    pub(super) needed: String,
    pub(super) why: &'static str,
}

impl Severity {
    /// The lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, severity, setting, found, needed, why } = self;
        let verb = match severity {
            Severity::Error => "needs",
            Severity::Warning => "better",
        };
        write!(f, "{setting} is {found}: {verb} {needed}, because {why} [{rule}]")
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is refused:")?;
        self.0.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

impl std::error::Error for Findings {}
