//! Values, at the places where they were given.

use std::time::Duration;

use proc_macro2::{Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::attr::{Backoff, Given, Schedule};

/// As it was written.
pub(super) fn verbatim<T>(given: &Given<T>) -> TokenStream {
    given.tokens.clone()
}

/// The place of a value, for code that the macro writes and the compiler may complain about there.
pub(super) fn place<T>(given: &Given<T>) -> Span {
    Span::mixed_site().located_at(given.tokens.span())
}

/// A whole number where a float is wanted gets its point.
pub(super) fn ratio(given: &Given<f64>) -> TokenStream {
    let mut ratio = Literal::f64_unsuffixed(given.value);
    ratio.set_span(place(given));
    quote!(#ratio)
}

pub(super) fn duration(given: &Given<Duration>) -> TokenStream {
    let (seconds, millis) = (given.value.as_secs(), given.value.as_millis());
    let (constructor, number) = match given.value.subsec_millis() {
        0 => (quote!(from_secs), Literal::u64_unsuffixed(seconds)),
        _ => (quote!(from_millis), Literal::u128_unsuffixed(millis)),
    };
    quote_spanned!(place(given)=> ::core::time::Duration::#constructor(#number))
}

pub(super) fn backoff(backoff: &Backoff) -> Option<TokenStream> {
    let schedule = match &backoff.schedule.as_ref()?.value {
        Schedule::Exponential { first, cap } => {
            let (first, cap) = (duration(first), duration(cap));
            quote!(__steadfast::Backoff::exponential(#first, #cap))
        }
        Schedule::Fixed(wait) => {
            let wait = duration(wait);
            quote!(__steadfast::Backoff::fixed(#wait))
        }
    };
    let floor = backoff.floor.as_ref().map(duration).map(|floor| quote!(.floor(#floor)));
    Some(quote!(#schedule #floor))
}
