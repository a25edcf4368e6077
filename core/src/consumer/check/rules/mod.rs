//! The rules, in the order of `docs/checks.md`.

mod acknowledge;
mod attempts;
mod bounds;
mod hold;
mod keys;
mod memory;
mod names;
mod order;

use super::{Check, Finding, Mismatch, Rule, Seen};
use crate::consumer::check::{DedupBy, Facts, said::said};

const GROUPS: [&[Rule]; 8] = [
    &names::RULES,
    &bounds::RULES,
    &attempts::RULES,
    &memory::RULES,
    &keys::RULES,
    &order::RULES,
    &hold::RULES,
    // Last: it looks at what the others have found.
    &acknowledge::RULES,
];

pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    GROUPS.into_iter().flatten()
}
