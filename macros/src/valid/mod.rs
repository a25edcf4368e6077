//! What is refused at compile time: lists of rules, each a function with its words. What depends on
//! a broker or a store is refused at start, by the core.

mod acknowledged;
mod bounds;
mod claims;
mod defaults;
mod names;
mod required;
mod retries;
#[cfg(test)]
mod tests;

use crate::{
    ast::Item,
    attr::{Given, Options, Text},
    errors::Errors,
};

/// What a consumer declares, with all that it needs to have.
pub(crate) struct Declaration {
    pub(crate) name: Given<Text>,
    pub(crate) source: Given<Text>,
    pub(crate) group: Given<Text>,
    pub(crate) dead_letter: Given<Text>,
    pub(crate) options: Options,
}

/// A rule: an error, if what is said breaks it.
type Rule = fn(&Options) -> Option<syn::Error>;

impl Declaration {
    /// Applies every rule; `None` if something that is required is missing.
    pub(crate) fn of(item: &Item, mut options: Options, errors: &mut Errors) -> Option<Self> {
        required::check(item, &options, errors);
        let rules = [
            &names::RULES[..],
            &bounds::RULES,
            &retries::RULES,
            &claims::RULES,
            &acknowledged::RULES,
        ];
        for error in rules.into_iter().flatten().filter_map(|rule| rule(&options)) {
            errors.add(error);
        }
        Some(Self {
            name: options.name.take()?,
            source: options.source.take()?,
            group: options.group.take()?,
            dead_letter: options.dead_letter.take()?,
            options,
        })
    }
}
