//! `dedup_key` and `ordered_by`: what tells messages apart.

use proc_macro2::TokenStream;
use syn::{ExprPath, Ident, LitStr, Member, parse::ParseStream, token::Paren};

use super::{entry::Entry, nearest::nearest, value::Given};

/// Where the dedup key comes from.
#[derive(Clone)]
pub(crate) enum DedupKey {
    /// A path of fields in the message.
    Field(Vec<Member>),
    Header(LitStr),
    MessageId,
    Key,
    /// A function from the message to its key.
    Function(ExprPath),
}

/// What lanes are told apart by.
#[derive(Clone)]
pub(crate) enum OrderedBy {
    Key,
    Partition,
    Header(LitStr),
}

impl DedupKey {
    const FORMS: &str = "\"field\", header(\"…\"), message_id, key, or the path of a function; a \
                         closure goes to the builder: `.dedup_key(DedupKey::of(…))`";

    pub(crate) fn read(entry: Entry) -> syn::Result<Given<Self>> {
        entry.value("\"field\"", Self::of_tokens)
    }

    fn of_tokens(tokens: &TokenStream) -> Result<Self, String> {
        if let Ok(path) = syn::parse2::<LitStr>(tokens.clone()) {
            return fields(&path.value()).map(Self::Field);
        }
        if let Ok(header) = header(tokens) {
            return Ok(Self::Header(header));
        }
        let path = syn::parse2::<ExprPath>(tokens.clone())
            .map_err(|_| format!("`dedup_key` takes one of {}", Self::FORMS))?;
        let Some(word) = path.path.get_ident().map(ToString::to_string) else {
            return Ok(Self::Function(path));
        };
        match word.as_str() {
            "message_id" => Ok(Self::MessageId),
            "key" => Ok(Self::Key),
            "header" => Err("`header` needs a name: write `header(\"…\")`".into()),
            near => match nearest(near, ["message_id", "header"].into_iter()) {
                Some(meant) => Err(format!(
                    "did you mean `{meant}`? For a function of this name write `self::{near}`"
                )),
                None => Ok(Self::Function(path)),
            },
        }
    }
}

impl OrderedBy {
    pub(crate) fn read(entry: Entry) -> syn::Result<Given<Self>> {
        entry.value("key", |tokens| {
            if let Ok(header) = header(tokens) {
                return Ok(Self::Header(header));
            }
            match syn::parse2::<Ident>(tokens.clone()) {
                Ok(word) if word == "key" => Ok(Self::Key),
                Ok(word) if word == "partition" => Ok(Self::Partition),
                _ => Err("`ordered_by` takes `key`, `header(\"…\")` or `partition`: lanes are \
                          chosen before a message is decoded, so its fields are not known yet"
                    .into()),
            }
        })
    }
}

/// `header("…")`.
fn header(tokens: &TokenStream) -> syn::Result<LitStr> {
    let parse = |input: ParseStream<'_>| {
        let word: Ident = input.parse()?;
        if word != "header" || !input.peek(Paren) {
            return Err(input.error("not a header"));
        }
        let content;
        syn::parenthesized!(content in input);
        content.parse()
    };
    syn::parse::Parser::parse2(parse, tokens.clone())
}

/// `order.id`, or `0.id` for tuples. A field named by a keyword may be written without its `r#`.
fn fields(path: &str) -> Result<Vec<Member>, String> {
    let member = |name: &str| {
        syn::parse_str(name).or_else(|_| syn::parse_str(&format!("r#{}", name.trim())))
    };
    path.split('.').map(member).collect::<syn::Result<_>>().map_err(|_| {
        format!("{path:?} is not a path of fields: write for example \"order_id\" or \"order.id\"")
    })
}
