//! From `#[consumer(…)]` to a model of what it says.

mod acknowledge;
mod backoff;
mod breaker;
mod bytes;
mod duration;
mod entry;
mod key;
mod limits;
mod list;
mod nearest;
mod options;
mod retry;
mod split;
mod value;

use crate::{ast::Item, errors::Errors};

pub(crate) use self::{
    backoff::{Backoff, Schedule},
    breaker::Breaker,
    duration::shown,
    key::{DedupKey, OrderedBy},
    limits::Limits,
    nearest::nearest,
    options::Options,
    retry::Retry,
    value::{Given, Text},
};

/// Reads the attributes of the item.
pub(crate) fn options(item: &Item, errors: &mut Errors) -> Options {
    let mut options = Options::default();
    for attribute in &item.attributes {
        let content = match &attribute.meta {
            syn::Meta::List(list) => list.tokens.clone(),
            syn::Meta::Path(_) => continue,
            syn::Meta::NameValue(_) => {
                errors
                    .at(attribute, "write the options in brackets: `#[consumer(name = \"…\", …)]`");
                options.is_unread = true;
                continue;
            }
        };
        let mut said = std::mem::take(&mut options.said);
        list::fill(&mut options, &mut said, content, errors);
        options.said = said;
    }
    options
}

/// Reads options as they stand in the brackets.
#[cfg(test)]
pub(crate) fn options_of(content: &str) -> (Options, Errors) {
    let (mut options, mut errors) = (Options::default(), Errors::default());
    let mut said = Vec::new();
    list::fill(&mut options, &mut said, content.parse().unwrap(), &mut errors);
    options.said = said;
    (options, errors)
}

#[cfg(test)]
mod tests;
