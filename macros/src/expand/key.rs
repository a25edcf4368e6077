//! The dedup key and the order.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Member, spanned::Spanned};

use super::value::place;
use crate::attr::{DedupKey, Given, OrderedBy};

/// A field is looked up in the message by code at the place of its path, so that the compiler says
/// there which fields the message has.
pub(super) fn dedup_key(given: &Given<DedupKey>) -> TokenStream {
    match &given.value {
        DedupKey::Field(path) => {
            let place = place(given);
            let path = path.iter().map(|member| located(member, given.tokens.span()));
            quote_spanned! {place=>
                __steadfast::DedupKey::field(|message: &Self::Message| &message #(.#path)*)
            }
        }
        DedupKey::Header(name) => quote!(__steadfast::DedupKey::header(#name)),
        DedupKey::MessageId => quote!(__steadfast::DedupKey::MessageId),
        DedupKey::Key => quote!(__steadfast::DedupKey::Key),
        DedupKey::Function(path) => {
            quote_spanned!(place(given)=> __steadfast::DedupKey::<Self::Message>::of(#path))
        }
    }
}

pub(super) fn ordered_by(given: &Given<OrderedBy>) -> TokenStream {
    match &given.value {
        OrderedBy::Key => quote!(__steadfast::OrderedBy::Key),
        OrderedBy::Partition => quote!(__steadfast::OrderedBy::Partition),
        OrderedBy::Header(name) => {
            quote!(__steadfast::OrderedBy::Header(::std::string::String::from(#name)))
        }
    }
}

fn located(member: &Member, place: Span) -> Member {
    let mut member = member.clone();
    match &mut member {
        Member::Named(name) => name.set_span(place),
        Member::Unnamed(index) => index.span = place,
    }
    member
}
