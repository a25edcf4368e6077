//! Names and destinations.

use super::{Check, Check::Policy, DedupBy, Facts, Mismatch, Rule, Seen};
use crate::{OrderedBy, store::check_name};

pub(super) const RULES: [Rule; 8] = [
    Rule::error("bad-name", Policy(name)),
    Rule::error("bad-group", Policy(group)),
    Rule::error("no-source", Policy(no_source)),
    Rule::error("no-dead-letter", Policy(no_dead_letter)),
    Rule::error("dead-letter-is-source", Policy(dead_letter_is_source)),
    Rule::error("unnamed-header", Policy(unnamed_header)),
    Rule::error("no-subscription", Check::Seen(no_subscription)),
    Rule::error("no-destination", Check::Seen(no_destination)),
];

fn name(facts: &Facts) -> Option<Mismatch> {
    let why = "it names the scope of the records, and metrics";
    not_a_name("name", &facts.policy.name, why)
}

fn group(facts: &Facts) -> Option<Mismatch> {
    let why = "it shares out the messages, and names the scope of the records";
    not_a_name("group", &facts.policy.group, why)
}

fn no_source(facts: &Facts) -> Option<Mismatch> {
    facts.policy.source.is_empty().then(|| Mismatch {
        setting: "source",
        found: "not set".into(),
        needed: "the topic or queue to consume".into(),
        why: "there is nothing to consume without it",
    })
}

fn no_dead_letter(facts: &Facts) -> Option<Mismatch> {
    facts.policy.dead_letter.is_empty().then(|| Mismatch {
        setting: "dead_letter",
        found: "not set".into(),
        needed: "a topic or queue of its own".into(),
        why: "messages that are given up must go somewhere",
    })
}

fn dead_letter_is_source(facts: &Facts) -> Option<Mismatch> {
    let (source, dead_letter) = (&facts.policy.source, &facts.policy.dead_letter);
    let is_source = source == dead_letter && !source.is_empty() && !facts.dead_letters_elsewhere;
    is_source.then(|| Mismatch {
        setting: "dead_letter",
        found: format!("{dead_letter:?}, the source itself"),
        needed: format!("a topic or queue of its own, such as \"{source}.dead\""),
        why: "messages that are given up would go round in circles",
    })
}

fn unnamed_header(facts: &Facts) -> Option<Mismatch> {
    let dedup = matches!(&facts.dedup_by, Some(DedupBy::Header(name)) if name.is_empty());
    let order =
        matches!(&facts.policy.ordered_by, Some(OrderedBy::Header(name)) if name.is_empty());
    let setting = match (dedup, order) {
        (true, _) => "dedup_key",
        (false, true) => "ordered_by",
        (false, false) => return None,
    };
    Some(Mismatch {
        setting,
        found: "a header without a name".into(),
        needed: "the name of the header".into(),
        why: "no message has such a header",
    })
}

fn no_subscription(facts: &Facts, seen: &Seen<'_>) -> Option<Mismatch> {
    seen.source.err().map(|refusal| Mismatch {
        setting: "source",
        found: refused(&facts.policy.source, refusal),
        needed: "a topic or queue that is there, and that the broker lets this consumer read"
            .into(),
        why: "there is nothing to consume without it",
    })
}

fn no_destination(facts: &Facts, seen: &Seen<'_>) -> Option<Mismatch> {
    seen.destination.err().map(|refusal| Mismatch {
        setting: "dead_letter",
        found: refused(&facts.policy.dead_letter, refusal),
        needed: "a topic or queue that is there, and that the broker lets this consumer write"
            .into(),
        why: "messages that are given up must go somewhere",
    })
}

/// The destination, with what the broker says of it.
fn refused(destination: &str, words: &str) -> String {
    format!("{destination:?} ({words})")
}

fn not_a_name(setting: &'static str, name: &str, why: &'static str) -> Option<Mismatch> {
    let found = match name {
        "" => "not set".to_owned(),
        name => format!("{name:?}"),
    };
    check_name("", name).err().map(|_| Mismatch {
        setting,
        found,
        needed: "1 to 90 of the characters A-Z a-z 0-9 . _ -".into(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{finds, passes};
    use super::*;

    #[test]
    fn a_name_is_of_few_characters_and_not_too_long() {
        for name in ["", "a name", "a/b", &"n".repeat(91)] {
            finds("bad-name", |sample| sample.policy.name = name.into());
        }
        passes(|sample| sample.policy.name = "Billing.charge_card-2".repeat(4));
    }

    #[test]
    fn a_group_is_named_as_a_consumer_is() {
        finds("bad-group", |sample| sample.policy.group = "my group".into());
        passes(|sample| sample.policy.group = "n".repeat(90));
    }

    #[test]
    fn something_is_consumed() {
        finds("no-source", |sample| sample.policy.source.clear());
    }

    #[test]
    fn messages_that_are_given_up_go_somewhere() {
        finds("no-dead-letter", |sample| sample.policy.dead_letter.clear());
    }

    #[test]
    fn messages_that_are_given_up_do_not_go_round_in_circles() {
        finds("dead-letter-is-source", |sample| sample.policy.dead_letter = "source".into());
        passes(|sample| {
            sample.policy.dead_letter = "source".into();
            sample.dead_letters_elsewhere = true;
        });
    }

    #[test]
    fn a_header_has_a_name() {
        finds("unnamed-header", |sample| {
            sample.dedup_by = Some(DedupBy::Header(String::new()));
        });
        finds("unnamed-header", |sample| {
            sample.source.ordered = true;
            sample.policy.ordered_by = Some(OrderedBy::Header(String::new()));
        });
    }
    #[test]
    fn what_the_broker_refuses_is_a_finding() {
        finds("no-subscription", |sample| sample.refused = [Some("there is no queue"), None]);
        finds("no-destination", |sample| sample.refused = [None, Some("there is no queue")]);
    }
}
