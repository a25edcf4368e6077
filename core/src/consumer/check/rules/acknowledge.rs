//! Warnings that somebody knows of.

use super::{Check, Facts, Finding, Mismatch, Rule, all};
use crate::consumer::check::Severity;

pub(super) const RULES: [Rule; 3] = [
    Rule::error("unknown-acknowledgement", Check::Policy(unknown)),
    Rule::error("acknowledged-error", Check::Policy(errors)),
    Rule::warning(NEEDLESS, Check::Findings(needless)),
];

const NEEDLESS: &str = "needless-acknowledgement";

fn unknown(facts: &Facts) -> Option<Mismatch> {
    let names = named(facts, |name| all().all(|rule| rule.name != name))?;
    let warnings = all().filter(|rule| rule.severity == Severity::Warning);
    let warnings: Vec<_> = warnings.map(|rule| rule.name).collect();
    Some(Mismatch {
        setting: "acknowledge",
        found: names,
        needed: format!("the name of a warning, one of {}", warnings.join(", ")),
        why: "there is no rule of this name",
    })
}

fn errors(facts: &Facts) -> Option<Mismatch> {
    named(facts, |name| is(name, Severity::Error)).map(|names| Mismatch {
        setting: "acknowledge",
        found: names,
        needed: "the setting to be mended, and no acknowledgement".into(),
        why: "this is an error: with it the consumer could not work",
    })
}

fn needless(facts: &Facts, found: &[Finding]) -> Option<Mismatch> {
    let has_an_effect = |name: &str| name == NEEDLESS || found.iter().any(|f| f.rule == name);
    named(facts, |name| is(name, Severity::Warning) && !has_an_effect(name)).map(|names| Mismatch {
        setting: "acknowledge",
        found: names,
        needed: "no acknowledgement".into(),
        why: "the warning does not occur, and would be silenced should it ever",
    })
}

fn is(name: &str, severity: Severity) -> bool {
    all().any(|rule| rule.name == name && rule.severity == severity)
}

/// The acknowledged names of this kind, as words.
fn named(facts: &Facts, is_of_kind: impl Fn(&str) -> bool) -> Option<String> {
    let names = facts.policy.acknowledged.iter().filter(|name| is_of_kind(name));
    let names: Vec<_> = names.map(|name| format!("{name:?}")).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{Sample, finds, passes};
    use super::*;
    use crate::Retry;

    fn acknowledging(names: &[&str]) -> impl FnOnce(&mut Sample) {
        |sample| sample.policy.acknowledged = names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn what_is_acknowledged_is_a_rule() {
        finds("unknown-acknowledgement", acknowledging(&["single-atempt"]));
    }

    #[test]
    fn an_error_cannot_be_acknowledged() {
        finds("acknowledged-error", acknowledging(&["no-attempts"]));
    }

    #[test]
    fn what_does_not_occur_needs_no_acknowledgement() {
        finds("needless-acknowledgement", acknowledging(&["single-attempt"]));
        passes(acknowledging(&[NEEDLESS]));
    }

    #[test]
    fn an_acknowledged_warning_is_still_found() {
        finds("single-attempt", |sample| {
            sample.policy.retry = Retry::default().max_attempts(1);
            sample.policy.acknowledged = vec!["single-attempt".into()];
        });
    }
}
