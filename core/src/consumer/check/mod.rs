//! The checks at start (P16): one list of rules, each a small function with its words.

mod facts;
mod finding;
mod rules;
mod said;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod words;

pub(crate) use self::facts::{Facts, Seen};
pub use self::finding::{Finding, Findings, Severity};
use self::{facts::DedupBy, finding::Mismatch};
use crate::{broker::Capabilities, store::Scope};

/// One rule. Its name stands in `docs/checks.md`, in logs, and in acknowledgements.
struct Rule {
    name: &'static str,
    severity: Severity,
    check: Check,
}

/// What a rule looks at.
#[derive(Clone, Copy)]
enum Check {
    /// What the builder knows.
    Policy(fn(&Facts) -> Option<Mismatch>),
    /// That, and whether the broker lets us in.
    Seen(fn(&Facts, &Seen<'_>) -> Option<Mismatch>),
    /// That, and what the source can do.
    Source(fn(&Facts, &Capabilities) -> Option<Mismatch>),
    /// That, and what the other rules have found.
    Findings(fn(&Facts, &[Finding]) -> Option<Mismatch>),
}

impl Rule {
    const fn error(name: &'static str, check: Check) -> Self {
        Self { name, severity: Severity::Error, check }
    }

    const fn warning(name: &'static str, check: Check) -> Self {
        Self { name, severity: Severity::Warning, check }
    }

    fn finding(&self, mismatch: Mismatch) -> Finding {
        let Mismatch { setting, found, needed, why } = mismatch;
        Finding { rule: self.name, severity: self.severity, setting, found, needed, why }
    }
}

/// Refuses what needs no broker to be known wrong.
///
/// # Errors
/// Every error, not only the first.
pub(crate) fn before_start(facts: &Facts) -> Result<(), Findings> {
    refuse(facts, found(facts, None))
}

/// Refuses what this broker cannot do.
///
/// # Errors
/// Every error, not only the first.
pub(crate) fn at_start(facts: &Facts, seen: &Seen<'_>) -> Result<(), Findings> {
    refuse(facts, found(facts, Some(seen)))
}

/// Says what is allowed and has cost others a night, unless it is acknowledged.
pub(crate) fn warn(facts: &Facts, source: &Capabilities) {
    let found = found(facts, Some(&Seen::of(source)));
    for finding in found.iter().filter(|finding| is_news(facts, finding)) {
        tracing::warn!(
            consumer = facts.policy.name,
            rule = finding.rule,
            "{finding}; if it is meant so: acknowledge({:?})",
            finding.rule
        );
    }
}

fn found(facts: &Facts, seen: Option<&Seen<'_>>) -> Vec<Finding> {
    let source = seen.and_then(|seen| seen.source.ok());
    let mut findings = Vec::new();
    for rule in rules::all() {
        let mismatch = match rule.check {
            Check::Policy(check) => check(facts),
            Check::Seen(check) => seen.and_then(|seen| check(facts, seen)),
            Check::Source(check) => source.and_then(|source| check(facts, source)),
            Check::Findings(check) => source.and_then(|_| check(facts, &findings)),
        };
        findings.extend(mismatch.map(|mismatch| rule.finding(mismatch)));
    }
    findings
}

/// Who mends an error hears of the warnings too, which the next start would bring.
fn refuse(facts: &Facts, mut findings: Vec<Finding>) -> Result<(), Findings> {
    let is_error = |finding: &Finding| finding.severity == Severity::Error;
    if !findings.iter().any(is_error) {
        return Ok(());
    }
    findings.retain(|finding| is_error(finding) || is_news(facts, finding));
    Err(Findings(findings))
}

/// Whether it is a warning that nobody has acknowledged.
fn is_news(facts: &Facts, finding: &Finding) -> bool {
    finding.severity == Severity::Warning && !facts.acknowledges(finding.rule)
}

/// The scope of the records, once the names have been checked.
pub(crate) fn scope(facts: &Facts) -> Result<Scope, Findings> {
    let policy = &facts.policy;
    Scope::new(&policy.name, &policy.group, policy.generation).map_err(|words| {
        let finding = Finding {
            rule: "bad-name",
            severity: Severity::Error,
            setting: "name and group",
            found: words,
            needed: "other names".into(),
            why: "together they name the scope of the records",
        };
        Findings(vec![finding])
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DOCS: &str = include_str!("../../../../docs/checks.md");

    /// Name and severity of every row, as the tables of the documentation show them.
    fn documented() -> Vec<(&'static str, &'static str)> {
        let cells = |line: &'static str| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.strip_suffix('`')?;
            let severity = cells.next()?;
            let (meaning, fix) = (cells.next()?, cells.next()?);
            assert!(meaning.len() > 20 && fix.len() > 10, "`{name}` is not explained");
            Some((name, severity))
        };
        DOCS.lines().filter_map(cells).collect()
    }

    #[test]
    fn the_documentation_lists_every_rule_with_its_severity_in_the_same_order() {
        let listed: Vec<_> = rules::all().map(|rule| (rule.name, rule.severity.as_str())).collect();
        assert_eq!(documented(), listed);
    }

    #[test]
    fn no_two_rules_share_a_name() {
        let names: BTreeSet<_> = rules::all().map(|rule| rule.name).collect();
        assert_eq!(names.len(), rules::all().count());
        let fits = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(names.into_iter().all(fits));
    }

    /// A rule that nothing can break checks nothing.
    #[test]
    fn every_rule_has_a_test_that_breaks_it() {
        let tests = [
            include_str!("rules/acknowledge.rs"),
            include_str!("rules/attempts.rs"),
            include_str!("rules/bounds.rs"),
            include_str!("rules/hold.rs"),
            include_str!("rules/keys.rs"),
            include_str!("rules/memory.rs"),
            include_str!("rules/names.rs"),
            include_str!("rules/order.rs"),
        ];
        for rule in rules::all() {
            let broken = format!("finds(\"{}\"", rule.name);
            let is_broken =
                |text: &&str| text.split_whitespace().collect::<String>().contains(&broken);
            assert!(tests.iter().any(is_broken), "`{}`", rule.name);
        }
    }
}
