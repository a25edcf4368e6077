//! Where the crate is: at `::steadfast`, or where `crate = …` says.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::Path;

/// Stands for the crate in the code that the derive writes. Nobody writes this name in an option,
/// so no path of theirs is taken for it.
const PLACEHOLDER: &str = "__steadfast";

/// Puts the path of the crate in the place of its placeholder.
pub(crate) fn reroot(tokens: TokenStream, root: Option<&Path>) -> TokenStream {
    let rerooted = |token| match token {
        TokenTree::Ident(name) if name == PLACEHOLDER => match root {
            Some(root) => root.to_token_stream(),
            None => quote_spanned!(name.span()=> ::steadfast),
        },
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), reroot(group.stream(), root));
            inner.set_span(group.span());
            inner.to_token_stream()
        }
        token => token.to_token_stream(),
    };
    tokens.into_iter().flat_map(rerooted).collect()
}
