//! The derive macro of `steadfast`, which re-exports it: use it from there.

mod ast;
mod attr;
mod errors;
mod expand;
mod fallback;
mod root;
mod valid;

use proc_macro2::TokenStream;
use syn::{DeriveInput, parse_macro_input};

use self::{ast::Item, errors::Errors, valid::Declaration};

#[doc = include_str!("docs/derive.md")]
#[proc_macro_derive(Consumer, attributes(consumer))]
pub fn derive_consumer(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    derive(&parse_macro_input!(input as DeriveInput)).into()
}

fn derive(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let item = Item::of(input, &mut errors);
    let options = attr::options(&item, &mut errors);
    let root = options.root.as_ref().map(|given| given.value.clone());
    let is_lost = root.is_none() && options.said.contains(&"crate");
    let declaration = Declaration::of(&item, options, &mut errors);
    let derived = match (errors.into_tokens(), declaration) {
        (None, Some(declaration)) => expand::expand(&item, &declaration),
        // Nobody knows for which crate to write more.
        (errors, _) if is_lost => errors.unwrap_or_default(),
        (errors, _) => fallback::expand(&item, errors),
    };
    root::reroot(derived, root.as_ref())
}

#[cfg(test)]
mod tests;
