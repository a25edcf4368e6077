//! What a case says of a broker that has not broken its rule.

use std::{fmt, io::Write as _};

/// What a case comes to; there is nothing between the two. A broker that breaks the rule makes it
/// panic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The broker keeps the rule.
    Proved,
    /// The rule does not concern this broker, or its harness cannot provoke what it is about.
    NotProved(String),
}

/// What a case returns: nothing, or why its rule cannot be proved here.
pub type Proof = Result<(), NotProved>;

/// Why a rule cannot be proved on this broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotProved(String);

impl NotProved {
    pub(crate) fn because<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self(reason.into()))
    }
}

impl fmt::Display for NotProved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Proof> for Verdict {
    fn from(proof: Proof) -> Self {
        match proof {
            Ok(()) => Self::Proved,
            Err(NotProved(reason)) => Self::NotProved(reason),
        }
    }
}

/// Says on stderr what a test has not proved.
#[doc(hidden)]
pub fn report(test: &str, verdict: &Verdict) {
    if let Verdict::NotProved(reason) = verdict {
        // Not by `eprintln!`: libtest keeps that back from those who pass. In one piece, since tests
        // speak side by side.
        let line = format!("not proved: {test}: {reason}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// The condition without which a case proves nothing.
pub(crate) fn needs(condition: bool, reason: impl Into<String>) -> Proof {
    if condition { Ok(()) } else { NotProved::because(reason) }
}
