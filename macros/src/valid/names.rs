//! Names and destinations.

use super::Rule;
use crate::attr::{DedupKey, Given, Options, OrderedBy, Text};

pub(super) const RULES: [Rule; 7] = [
    name_is_a_name,
    group_is_a_name,
    source_is_named,
    dead_letter_is_named,
    dead_letter_is_not_the_source,
    dedup_header_is_named,
    order_header_is_named,
];

fn name_is_a_name(options: &Options) -> Option<syn::Error> {
    name("name", options.name.as_ref()?)
}

fn group_is_a_name(options: &Options) -> Option<syn::Error> {
    name("group", options.group.as_ref()?)
}

fn source_is_named(options: &Options) -> Option<syn::Error> {
    let source = options.source.as_ref()?;
    let message = "`source` is empty: it needs the topic or queue to consume";
    source.literal()?.is_empty().then(|| source.error(message))
}

fn dead_letter_is_named(options: &Options) -> Option<syn::Error> {
    let dead_letter = options.dead_letter.as_ref()?;
    let message = "`dead_letter` is empty: messages that are given up must go somewhere";
    dead_letter.literal()?.is_empty().then(|| dead_letter.error(message))
}

fn dead_letter_is_not_the_source(options: &Options) -> Option<syn::Error> {
    let (source, dead_letter) = (options.source.as_ref()?, options.dead_letter.as_ref()?);
    let name = source.literal()?;
    (dead_letter.literal()? == name && !name.is_empty()).then(|| {
        dead_letter.error(format!(
            "`dead_letter` is the source itself: messages that are given up would go round in \
             circles; name a destination of its own, such as \"{name}.dead\""
        ))
    })
}

fn dedup_header_is_named(options: &Options) -> Option<syn::Error> {
    match &options.dedup_key.as_ref()?.value {
        DedupKey::Header(name) => header(name),
        _ => None,
    }
}

fn order_header_is_named(options: &Options) -> Option<syn::Error> {
    match &options.ordered_by.as_ref()?.value {
        OrderedBy::Header(name) => header(name),
        OrderedBy::Key | OrderedBy::Partition => None,
    }
}

fn header(name: &syn::LitStr) -> Option<syn::Error> {
    name.value().is_empty().then(|| syn::Error::new_spanned(name, "the header needs a name"))
}

/// The same rule as the core's: it becomes part of scopes, metrics and destinations.
fn name(option: &str, given: &Given<Text>) -> Option<syn::Error> {
    const MAX: usize = 90;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let text = given.literal()?;
    let is_name = !text.is_empty() && text.len() <= MAX && text.chars().all(fits);
    (!is_name).then(|| {
        given.error(format!("`{option}` needs 1 to {MAX} of the characters A-Z a-z 0-9 . _ -"))
    })
}
