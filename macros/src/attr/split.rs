//! Where one option ends and the next begins.

use std::mem;

use proc_macro2::{TokenStream, TokenTree};

use crate::errors::Errors;

/// Splits at the commas, but not at those of generic arguments, and where a comma was forgotten
/// before an option, which is `known` or followed by a `=`.
pub(super) fn split(
    tokens: TokenStream,
    known: impl Fn(&str) -> bool,
    errors: &mut Errors,
) -> Vec<Vec<TokenTree>> {
    let mut options = Vec::new();
    let mut option: Vec<TokenTree> = Vec::new();
    let mut brackets = 0_usize;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let before = option.last();
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ',' && brackets == 0 => {
                if option.is_empty() {
                    errors.at(token, "an option is missing before this comma");
                }
                options.push(mem::take(&mut option));
                continue;
            }
            TokenTree::Punct(punct) if punct.as_char() == '<' && opens(before, brackets) => {
                brackets += 1;
            }
            TokenTree::Punct(punct) if punct.as_char() == '>' && !is_punct(before, "-") => {
                brackets = brackets.saturating_sub(1);
            }
            TokenTree::Ident(name)
                if brackets == 0
                    && is_end(before)
                    && (is_punct(tokens.peek(), "=") || known(&name.to_string())) =>
            {
                errors.at(name, format!("a `,` is missing before `{name}`"));
                options.push(mem::take(&mut option));
            }
            _ => {}
        }
        option.push(token);
    }
    options.push(option);
    options.retain(|option| !option.is_empty());
    options
}

/// Whether an option may end with this token: a flag, a value, the brackets of a list.
fn is_end(token: Option<&TokenTree>) -> bool {
    match token {
        Some(TokenTree::Punct(punct)) => punct.as_char() == '>',
        token => token.is_some(),
    }
}

/// Whether a `<` begins generic arguments, and is no operator.
fn opens(before: Option<&TokenTree>, brackets: usize) -> bool {
    let in_path = matches!(before, Some(TokenTree::Ident(_))) || is_punct(before, ":=");
    in_path || (brackets > 0 && is_punct(before, "<,"))
}

fn is_punct(token: Option<&TokenTree>, chars: &str) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if chars.contains(punct.as_char()))
}
