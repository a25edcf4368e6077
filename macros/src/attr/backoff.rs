//! `exponential("200ms", "30s")` and `fixed("1s")`: how long to wait.

use std::time::Duration;

use proc_macro2::TokenStream;
use syn::{Ident, Lit, Token, parse::ParseStream, punctuated::Punctuated};

use super::{duration, entry::Entry, value::Given};

const FORMS: &str = "`exponential(\"200ms\", \"30s\")` or `fixed(\"1s\")`";

/// A schedule of waits, and their floor where one is said.
#[derive(Default)]
pub(crate) struct Backoff {
    pub(crate) schedule: Option<Given<Schedule>>,
    pub(crate) floor: Option<Given<Duration>>,
}

/// A schedule of waits.
#[derive(Clone)]
pub(crate) enum Schedule {
    Exponential { first: Given<Duration>, cap: Given<Duration> },
    Fixed(Given<Duration>),
}

impl Schedule {
    pub(crate) fn read(entry: Entry) -> syn::Result<Given<Self>> {
        let name = entry.name.to_string();
        let given = entry.value("exponential(\"200ms\", \"30s\")", |tokens| Ok(tokens.clone()))?;
        let value = Self::of_tokens(&name, &given.tokens)?;
        Ok(Given { value, tokens: given.tokens })
    }

    fn of_tokens(name: &str, tokens: &TokenStream) -> syn::Result<Self> {
        let wrong = |message: String| syn::Error::new_spanned(tokens, message);
        let Ok((kind, waits)) = syn::parse::Parser::parse2(call, tokens.clone()) else {
            return Err(wrong(format!("`{name}` takes {FORMS}")));
        };
        let waits = waits.iter().map(|wait| {
            duration::of_tokens(name, &quote::quote!(#wait))
                .map(|value| Given::new(value, wait))
                .map_err(|message| syn::Error::new_spanned(wait, message))
        });
        let waits = waits.collect::<syn::Result<Vec<_>>>()?;
        match (kind.to_string().as_str(), waits.as_slice()) {
            ("exponential", [first, cap]) => {
                Ok(Self::Exponential { first: first.clone(), cap: cap.clone() })
            }
            ("exponential", _) => Err(wrong(
                "`exponential` takes two durations, the first wait and the longest: \
                 `exponential(\"200ms\", \"30s\")`"
                    .into(),
            )),
            ("fixed", [wait]) => Ok(Self::Fixed(wait.clone())),
            ("fixed", _) => Err(wrong("`fixed` takes one duration: `fixed(\"1s\")`".into())),
            (other, _) => {
                let message = format!("there is no backoff `{other}`: write {FORMS}");
                Err(syn::Error::new_spanned(kind, message))
            }
        }
    }
}

fn call(input: ParseStream<'_>) -> syn::Result<(Ident, Punctuated<Lit, Token![,]>)> {
    let kind = input.parse()?;
    let content;
    syn::parenthesized!(content in input);
    Ok((kind, Punctuated::parse_terminated(&content)?))
}
