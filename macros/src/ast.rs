//! The item that the derive stands on.

use syn::{
    Attribute, Data, DeriveInput, Field, GenericParam, Generics, Ident, Lifetime, WherePredicate,
    parse_quote,
    visit_mut::{VisitMut, visit_generics_mut},
};

use crate::errors::Errors;

/// A handler struct.
pub(crate) struct Item {
    pub(crate) ident: Ident,
    /// Without lifetimes: a handler is `'static`, so each of them can only be that.
    pub(crate) generics: Generics,
    /// What stands between the angle brackets after its name.
    pub(crate) arguments: Vec<syn::GenericArgument>,
    /// Those named `consumer`.
    pub(crate) attributes: Vec<Attribute>,
}

impl Item {
    pub(crate) fn of(input: &DeriveInput, errors: &mut Errors) -> Self {
        match &input.data {
            Data::Struct(data) => data.fields.iter().for_each(|field| refuse_on(field, errors)),
            Data::Enum(data) => refuse("an enum", data.enum_token, errors),
            Data::Union(data) => refuse("a union", data.union_token, errors),
        }
        Self {
            ident: input.ident.clone(),
            generics: without_lifetimes(input.generics.clone()),
            arguments: input.generics.params.iter().map(argument).collect(),
            attributes: input.attrs.iter().filter(|attr| is_ours(attr)).cloned().collect(),
        }
    }
}

fn refuse(what: &str, keyword: impl quote::ToTokens, errors: &mut Errors) {
    let message = format!(
        "`Consumer` is derived on the struct that handles the messages, and this is {what}: \
         put it into a field of a struct"
    );
    errors.at(keyword, message);
}

/// An attribute that is accepted and not read would be a setting silently lost.
fn refuse_on(field: &Field, errors: &mut Errors) {
    for attribute in field.attrs.iter().filter(|attribute| is_ours(attribute)) {
        errors.at(attribute, "`#[consumer(…)]` belongs on the struct, not on a field: move it up");
    }
}

fn is_ours(attribute: &Attribute) -> bool {
    attribute.path().is_ident("consumer")
}

fn argument(param: &GenericParam) -> syn::GenericArgument {
    match param {
        GenericParam::Lifetime(_) => parse_quote!('static),
        GenericParam::Type(param) => {
            let ident = &param.ident;
            parse_quote!(#ident)
        }
        GenericParam::Const(param) => {
            let ident = &param.ident;
            parse_quote!(#ident)
        }
    }
}

fn without_lifetimes(mut generics: Generics) -> Generics {
    let is_lifetime = |param: &GenericParam| matches!(param, GenericParam::Lifetime(_));
    let lifetimes = generics.lifetimes().map(|param| param.lifetime.clone()).collect();
    generics.params = generics.params.into_iter().filter(|param| !is_lifetime(param)).collect();
    if let Some(clause) = &mut generics.where_clause {
        let kept = std::mem::take(&mut clause.predicates).into_iter();
        clause.predicates =
            kept.filter(|bound| !matches!(bound, WherePredicate::Lifetime(_))).collect();
    }
    visit_generics_mut(&mut Outlive(lifetimes), &mut generics);
    generics
}

/// Makes `'static` of the lifetimes of the item.
struct Outlive(Vec<Lifetime>);

impl VisitMut for Outlive {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if self.0.contains(lifetime) {
            *lifetime = Lifetime::new("'static", lifetime.span());
        }
    }
}
