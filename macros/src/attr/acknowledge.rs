//! `acknowledge("…")`: warnings that are meant so.

use proc_macro2::{TokenStream, TokenTree};
use syn::{LitStr, Token, parse::Parser, punctuated::Punctuated};

use super::entry::{Entry, Form};

/// Names of warnings.
#[derive(Default)]
pub(crate) struct Acknowledged(pub(crate) Vec<LitStr>);

impl Acknowledged {
    pub(crate) fn read(entry: Entry) -> syn::Result<Self> {
        const FORM: &str = "`acknowledge(\"single-attempt\")`";
        let name = entry.name.clone();
        let example = match &entry.form {
            Form::Value(given) => in_brackets(given),
            _ => "\"single-attempt\"".into(),
        };
        let content = entry.list(&example)?;
        let names = Punctuated::<LitStr, Token![,]>::parse_terminated.parse2(content.clone());
        match names {
            Ok(names) if names.is_empty() => {
                let message = format!("`acknowledge` names no warning: write {FORM}");
                Err(syn::Error::new_spanned(name, message))
            }
            Ok(names) => Ok(Self(names.into_iter().collect())),
            Err(_) => {
                let message =
                    format!("`acknowledge` takes names of warnings in quotes: write {FORM}");
                Err(syn::Error::new_spanned(content, message))
            }
        }
    }
}

/// What was given as a value, as it belongs in the brackets of a list.
fn in_brackets(given: &TokenStream) -> String {
    let mut tokens = given.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Group(group)), None) => group.stream().to_string(),
        _ => given.to_string(),
    }
}
