//! The calls on the builder.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::TypePath;

use super::{
    key::{dedup_key, ordered_by},
    value::{backoff, duration, place, ratio, verbatim},
};
use crate::{
    attr::{Breaker, Given, Limits, Retry},
    valid::Declaration,
};

/// One call for each setting that was given, in the order of the builder's methods.
pub(super) fn calls(declaration: &Declaration) -> Vec<TokenStream> {
    let Declaration { source, group, dead_letter, options: o, .. } = declaration;
    let calls = [
        call("source", Some(verbatim(source))),
        call("group", Some(verbatim(group))),
        call("dead_letter", Some(verbatim(dead_letter))),
        call("dedup_key", o.dedup_key.as_ref().map(dedup_key)),
        call("retry", o.retry.as_ref().map(retry)),
        call("breaker", o.breaker.as_ref().map(breaker)),
        call("filter", o.filter.as_ref().map(verbatim)),
        call("ordered_by", o.ordered_by.as_ref().map(ordered_by)),
        call("concurrency", o.concurrency.as_ref().map(verbatim)),
        call("max_in_flight", o.max_in_flight.as_ref().map(verbatim)),
        call("max_in_flight_bytes", o.max_in_flight_bytes.as_ref().map(number)),
        call("waiting_share", o.waiting_share.as_ref().map(ratio)),
        call("timeout", o.timeout.as_ref().map(duration)),
        call("grace", o.grace.as_ref().map(duration)),
        call("drain", o.drain.as_ref().map(duration)),
        call("lease", o.lease.as_ref().map(duration)),
        call("lease_cap", o.lease_cap.as_ref().map(duration)),
        call("retention", o.retention.as_ref().map(duration)),
        call("transactional", o.transactional.as_ref().map(|_| TokenStream::new())),
        call("generation", o.generation.as_ref().map(verbatim)),
        call("limits", o.limits.as_ref().map(limits)),
        call("stalled_after", o.stalled_after.as_ref().map(duration)),
        call("codec", o.codec.as_ref().map(codec)),
    ];
    let acknowledged = o.acknowledge.iter().flat_map(|acknowledged| &acknowledged.0);
    let acknowledge = acknowledged.map(|name| quote!(.acknowledge(#name)));
    calls.into_iter().flatten().chain(acknowledge).collect()
}

fn call(setter: &str, value: Option<TokenStream>) -> Option<TokenStream> {
    let setter = format_ident!("{setter}");
    value.map(|value| quote!(.#setter(#value)))
}

fn retry(retry: &Retry) -> TokenStream {
    let calls = [
        call("max_attempts", retry.max_attempts.as_ref().map(verbatim)),
        call("backoff", backoff(&retry.backoff)),
        call("max_age", retry.max_age.as_ref().map(duration)),
        call("in_place_up_to", retry.in_place_up_to.as_ref().map(duration)),
    ];
    let calls = calls.iter().flatten();
    quote!(__steadfast::Retry::default() #(#calls)*)
}

fn breaker(breaker: &Breaker) -> TokenStream {
    let ratio = breaker.failure_ratio.as_ref().map(ratio);
    let ratio = ratio.zip(breaker.window.as_ref().map(verbatim));
    let calls = [
        call("failure_ratio", ratio.map(|(ratio, window)| quote!(#ratio, #window))),
        call("believed_for", breaker.believed_for.as_ref().map(duration)),
        call("probes", backoff(&breaker.probes)),
    ];
    let calls = calls.iter().flatten();
    quote!(__steadfast::BreakerPolicy::default() #(#calls)*)
}

fn limits(limits: &Limits) -> TokenStream {
    let fields = [
        ("payload", &limits.payload),
        ("key", &limits.key),
        ("headers", &limits.headers),
        ("header_bytes", &limits.header_bytes),
    ];
    let assignments = fields.into_iter().filter_map(|(field, given)| {
        let (field, value) = (format_ident!("{field}"), number(given.as_ref()?));
        Some(quote!(limits.#field = #value;))
    });
    quote! {{
        let mut limits = __steadfast::Limits::default();
        #(#assignments)*
        limits
    }}
}

/// At the place of the type, where the compiler says if it has no default.
fn codec(given: &Given<TypePath>) -> TokenStream {
    quote_spanned!(place(given)=> <Self::Codec as ::core::default::Default>::default())
}

fn number(given: &Given<usize>) -> TokenStream {
    let number = Literal::usize_unsuffixed(given.value);
    quote!(#number)
}
