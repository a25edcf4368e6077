//! What stands in for the impl after an error, so that a missing impl is not an error too.

use proc_macro2::TokenStream;
use quote::quote;

use crate::ast::Item;

pub(crate) fn expand(item: &Item, errors: Option<TokenStream>) -> TokenStream {
    let Item { ident, generics, arguments, .. } = item;
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let arguments = (!arguments.is_empty()).then(|| quote!(<#(#arguments),*>));
    quote! {
        #errors

        const _: () = {
            pub struct Undeclared;

            impl<M> __steadfast::Codec<M> for Undeclared {
                fn decode(
                    &self,
                    _: &__steadfast::Message,
                ) -> ::core::result::Result<M, __steadfast::broker::BoxError> {
                    ::core::unreachable!()
                }
            }

            #[automatically_derived]
            impl #impl_generics __steadfast::Declared for #ident #arguments #where_clause {
                type Codec = Undeclared;

                fn consumer(self) -> __steadfast::Builder<Self, Self::Codec> {
                    ::core::unreachable!()
                }
            }
        };
    }
}
