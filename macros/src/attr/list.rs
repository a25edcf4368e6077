//! A list of options between commas, filled into a model.

use proc_macro2::TokenStream;

use super::{entry::Entry, nearest::nearest, options, split::split};
use crate::errors::Errors;

/// A model that is filled from a list of options.
pub(crate) trait Listed: Default + 'static {
    /// The group, as in `retry(…)`; empty for the outermost list.
    const GROUP: &'static str;
    /// The options there are.
    const OPTIONS: &'static [Known<Self>];
}

/// An option: its name, and how it is read.
pub(crate) type Known<T> = (&'static str, fn(&mut T, Entry, &mut Errors));

/// Fills the model; `said` takes up the names that have been used, rightly or wrongly.
pub(crate) fn fill<T: Listed>(
    model: &mut T,
    said: &mut Vec<&'static str>,
    tokens: TokenStream,
    errors: &mut Errors,
) {
    for tokens in split(tokens, |name| known::<T>(name).is_some(), errors) {
        let Some(entry) = errors.keep(Entry::parse(&tokens)) else {
            let name = tokens.first().map(ToString::to_string).unwrap_or_default();
            said.extend(known::<T>(&name).map(|(name, _)| name));
            continue;
        };
        let Some((name, read)) = known::<T>(&entry.name.to_string()) else {
            said.extend(meant::<T>(&entry.name.to_string()));
            errors.at(&entry.name, unknown::<T>(&entry.name.to_string()));
            continue;
        };
        if said.contains(name) {
            errors.at(&entry.name, format!("`{name}` is said twice: keep one of the two"));
            continue;
        }
        said.push(name);
        read(model, entry, errors);
    }
}

/// Reads a nested group.
pub(crate) fn read_group<T: Listed>(tokens: TokenStream, errors: &mut Errors) -> T {
    let mut model = T::default();
    fill(&mut model, &mut Vec::new(), tokens, errors);
    model
}

fn known<T: Listed>(name: &str) -> Option<&'static Known<T>> {
    T::OPTIONS.iter().find(|known| known.0 == name)
}

fn unknown<T: Listed>(name: &str) -> String {
    if let Some(elsewhere) = options::elsewhere(name, T::GROUP) {
        return elsewhere;
    }
    let unknown = match T::GROUP {
        "" => format!("unknown option `{name}`"),
        group => format!("unknown option `{name}` in `{group}(…)`"),
    };
    match meant::<T>(name) {
        Some(meant) => format!("{unknown}: did you mean `{meant}`?"),
        None => format!("{unknown}: there are `{}`", names::<T>().join("`, `")),
    }
}

pub(super) fn names<T: Listed>() -> Vec<&'static str> {
    T::OPTIONS.iter().map(|known| known.0).collect()
}

fn meant<T: Listed>(name: &str) -> Option<&'static str> {
    let synonym =
        SYNONYMS.iter().find(|(word, option)| *word == name && known::<T>(option).is_some());
    synonym.map(|(_, option)| *option).or_else(|| nearest(name, names::<T>().into_iter()))
}

/// Words that others use for the same.
const SYNONYMS: [(&str, &str); 22] = [
    ("topic", "source"),
    ("queue", "source"),
    ("subscription", "source"),
    ("consumer_group", "group"),
    ("group_id", "group"),
    ("dlq", "dead_letter"),
    ("dead_letter_queue", "dead_letter"),
    ("dead_letter_topic", "dead_letter"),
    ("idempotency_key", "dedup_key"),
    ("id", "dedup_key"),
    ("retries", "retry"),
    ("retries", "max_attempts"),
    ("max_retries", "retry"),
    ("max_retries", "max_attempts"),
    ("circuit_breaker", "breaker"),
    ("prefetch", "max_in_flight"),
    ("workers", "concurrency"),
    ("parallelism", "concurrency"),
    ("deadline", "timeout"),
    ("ttl", "retention"),
    ("format", "codec"),
    ("ignore", "acknowledge"),
];
