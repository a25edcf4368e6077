//! From the model to code that reads as if somebody had written it.

mod key;
mod policy;
mod value;

use proc_macro2::TokenStream;
use quote::quote;

use crate::{ast::Item, valid::Declaration};

pub(crate) fn expand(item: &Item, declaration: &Declaration) -> TokenStream {
    let Item { ident, arguments, .. } = item;
    let (impl_generics, _, _) = item.generics.split_for_impl();
    let arguments = (!arguments.is_empty()).then(|| quote!(<#(#arguments),*>));
    let bounds = bounds(item, declaration);
    let codec = match &declaration.options.codec {
        Some(codec) => codec.tokens.clone(),
        None => quote!(__steadfast::Json),
    };
    let name = &declaration.name.tokens;
    let calls = policy::calls(declaration);
    quote! {
        #[automatically_derived]
        impl #impl_generics __steadfast::Declared for #ident #arguments #bounds {
            type Codec = #codec;

            fn consumer(self) -> __steadfast::Builder<Self, Self::Codec> {
                __steadfast::Consumer::builder(#name, self) #(#calls)*
            }
        }
    }
}

/// Those of the struct. Where it has no parameters, what the impl needs is said as a bound, because
/// then the compiler complains once, and not at every use; beside parameters such a bound would hide
/// from it what the message is.
fn bounds(item: &Item, declaration: &Declaration) -> TokenStream {
    if !item.generics.params.is_empty() {
        let (_, _, clause) = item.generics.split_for_impl();
        return quote!(#clause);
    }
    let declared = item.generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let decodes = match &declaration.options.codec {
        Some(_) => None,
        None => Some(quote!(__steadfast::Json: __steadfast::Codec<Self::Message>)),
    };
    quote!(where #(#declared,)* Self: __steadfast::Handler, #decodes)
}
