//! The syntax of one option: `name = value`, `name(…)` or `name`.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Ident, Result};

/// One option as it is written.
pub(crate) struct Entry {
    pub(crate) name: Ident,
    pub(crate) form: Form,
}

pub(crate) enum Form {
    /// `name`
    Flag,
    /// `name = value`, the value not empty
    Value(TokenStream),
    /// `name(…)`, what is between the brackets
    List(TokenStream),
}

impl Entry {
    /// Reads one option from its tokens, of which there is at least one.
    pub(crate) fn parse(tokens: &[TokenTree]) -> Result<Self> {
        let (name, rest) = match tokens {
            [TokenTree::Ident(name), rest @ ..] => (name.clone(), rest),
            _ => return Err(error(tokens, "expected the name of an option, such as `timeout`")),
        };
        let form = match rest {
            [] => Form::Flag,
            [TokenTree::Punct(equals)] if equals.as_char() == '=' => {
                return Err(error(tokens, format!("`{name}` needs a value after the `=`")));
            }
            [TokenTree::Punct(equals), value @ ..] if equals.as_char() == '=' => {
                Form::Value(value.iter().cloned().collect())
            }
            [TokenTree::Group(group)] if group.delimiter() == Delimiter::Parenthesis => {
                Form::List(group.stream())
            }
            [TokenTree::Group(group), rest @ ..] if group.delimiter() == Delimiter::Parenthesis => {
                return Err(error(rest, format!("a `,` is missing after `{name}(…)`")));
            }
            _ => return Err(error(rest, format!("a `=` is missing after `{name}`"))),
        };
        Ok(Self { name, form })
    }
}

fn error(tokens: &[TokenTree], message: impl std::fmt::Display) -> syn::Error {
    let place: TokenStream = tokens.iter().map(ToTokens::to_token_stream).collect();
    syn::Error::new_spanned(place, message)
}
