//! The values of options, each with its place.

use std::{fmt::Display, str::FromStr, time::Duration};

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{ExprPath, Lit, LitInt, LitStr, Path, Result, TypePath, parse::Parser};

use super::{
    bytes, duration,
    entry::{Entry, Form},
};

/// A value that somebody gave, and the tokens it was given by.
#[derive(Clone)]
pub(crate) struct Given<T> {
    pub(crate) value: T,
    pub(crate) tokens: TokenStream,
}

impl<T> Given<T> {
    pub(crate) fn new(value: T, tokens: impl ToTokens) -> Self {
        Self { value, tokens: tokens.to_token_stream() }
    }

    /// An error at this value.
    pub(crate) fn error(&self, message: impl Display) -> syn::Error {
        syn::Error::new_spanned(&self.tokens, message)
    }
}

/// Words that are known when the derive runs, or only to the compiler.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Text {
    Literal(String),
    /// The path of a constant.
    Constant,
}

impl Given<Text> {
    /// The words, if they are known.
    pub(crate) fn literal(&self) -> Option<&str> {
        match &self.value {
            Text::Literal(text) => Some(text),
            Text::Constant => None,
        }
    }
}

impl Entry {
    /// `name` alone.
    pub(crate) fn flag(self) -> Result<Given<()>> {
        match self.form {
            Form::Flag => Ok(Given::new((), self.name)),
            Form::Value(tokens) | Form::List(tokens) => {
                let message =
                    format!("`{0}` takes no value: write `{0}`, or leave it out", self.name);
                Err(syn::Error::new_spanned(WithName(&self.name, &tokens), message))
            }
        }
    }

    /// `name = "text"`, or `name = path::to::CONSTANT`.
    pub(crate) fn text(self) -> Result<Given<Text>> {
        let name = self.name.to_string();
        self.value("\"…\"", |tokens| {
            if let Ok(text) = syn::parse2::<LitStr>(tokens.clone()) {
                return Ok(Text::Literal(text.value()));
            }
            syn::parse2::<ExprPath>(tokens.clone()).map(|_| Text::Constant).map_err(|_| {
                format!(
                    "`{name}` takes a string literal or the path of a constant{}",
                    at_run_time(&name)
                )
            })
        })
    }

    /// `name = "250ms"`.
    pub(crate) fn duration(self) -> Result<Given<Duration>> {
        let name = self.name.to_string();
        self.value("\"10s\"", |tokens| duration::of_tokens(&name, tokens))
    }

    /// `name = 5`.
    pub(crate) fn number<N: Unsigned>(self) -> Result<Given<N>> {
        let name = self.name.to_string();
        self.value("5", |tokens| match syn::parse2::<LitInt>(tokens.clone()) {
            Ok(number) if number.suffix().is_empty() && !is_negative(&number) => {
                let most = u128::MAX >> (128 - 8 * size_of::<N>());
                number.base10_parse().map_err(|_| format!("`{name}` can be {most} at most"))
            }
            _ => Err(format!("`{name}` takes a whole number, such as 5")),
        })
    }

    /// `name = 1024` or `name = "1KiB"`.
    pub(crate) fn bytes(self) -> Result<Given<usize>> {
        let name = self.name.to_string();
        self.value("\"1MiB\"", |tokens| bytes::of_tokens(&name, tokens))
    }

    /// `name = 0.5`.
    pub(crate) fn ratio(self) -> Result<Given<f64>> {
        let name = self.name.to_string();
        self.value("0.5", |tokens| {
            let number = match syn::parse2::<Lit>(tokens.clone()) {
                Ok(Lit::Float(number)) => number.base10_parse(),
                Ok(Lit::Int(number)) => number.base10_parse(),
                _ => return Err(format!("`{name}` takes a number, such as 0.5")),
            };
            number.map_err(|error| format!("`{name}`: {error}"))
        })
    }

    /// `name = path::to::function`.
    pub(crate) fn function(self) -> Result<Given<ExprPath>> {
        let name = self.name.to_string();
        self.value("function", |tokens| {
            syn::parse2(tokens.clone()).map_err(|_| {
                format!(
                    "`{name}` takes the path of a function, such as `{name} = is_wanted`; a closure \
                     goes to the builder: `.{name}(…)`"
                )
            })
        })
    }

    /// `name = path::to::something`.
    pub(crate) fn path(self) -> Result<Given<Path>> {
        let name = self.name.to_string();
        self.value("facade::steadfast", |tokens| {
            Path::parse_mod_style
                .parse2(tokens.clone())
                .map_err(|_| format!("`{name}` takes a path, such as `{name} = facade::steadfast`"))
        })
    }

    /// `name = path::to::Type`.
    pub(crate) fn ty(self) -> Result<Given<TypePath>> {
        let name = self.name.to_string();
        self.value("Type", |tokens| {
            syn::parse2(tokens.clone()).map_err(|_| {
                format!(
                    "`{name}` takes the path of a type that has a default, such as `{name} = Raw`"
                )
            })
        })
    }

    /// `name(…)`; `example` shows what may stand there.
    pub(crate) fn list(self, example: &str) -> Result<TokenStream> {
        match self.form {
            Form::List(content) => Ok(content),
            Form::Flag => {
                let message = format!("`{0}` needs settings: write `{0}({example})`", self.name);
                Err(syn::Error::new_spanned(self.name, message))
            }
            Form::Value(value) => {
                let message = format!("`{0}` is a list: write `{0}({example})`", self.name);
                Err(syn::Error::new_spanned(value, message))
            }
        }
    }

    /// `name = value`; `example` shows a value.
    pub(crate) fn value<T>(
        self,
        example: &str,
        read: impl FnOnce(&TokenStream) -> std::result::Result<T, String>,
    ) -> Result<Given<T>> {
        let Self { name, form } = self;
        match form {
            Form::Value(tokens) => match read(&tokens) {
                Ok(value) => Ok(Given { value, tokens }),
                Err(message) => Err(syn::Error::new_spanned(tokens, message)),
            },
            Form::Flag => {
                let message = format!("`{name}` needs a value: write `{name} = {example}`");
                Err(syn::Error::new_spanned(name, message))
            }
            Form::List(tokens) => {
                let message = format!("`{name}` takes one value: write `{name} = {example}`");
                Err(syn::Error::new_spanned(WithName(&name, &tokens), message))
            }
        }
    }
}

/// Where a value goes that is not known before. The name is given when the builder is made.
fn at_run_time(name: &str) -> String {
    match name {
        "name" => String::new(),
        _ => format!("; a value of the running program goes to the builder: `.{name}(…)`"),
    }
}

/// A number without a sign; its greatest value has all bits set.
pub(crate) trait Unsigned: FromStr<Err: Display> {}
impl Unsigned for u32 {}
impl Unsigned for usize {}

fn is_negative(number: &LitInt) -> bool {
    number.base10_digits().starts_with('-')
}

/// The place from an option's name to its end.
struct WithName<'a>(&'a syn::Ident, &'a TokenStream);

impl ToTokens for WithName<'_> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
        self.1.to_tokens(tokens);
    }
}
