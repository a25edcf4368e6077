//! The whole way, for input that nobody would write on purpose.

use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{DeriveInput, parse_quote};

const EVERYTHING: &str = r#"
    name = "a", source = "s", group = "g", dead_letter = "d", dedup_key = header("id"),
    retry(max_attempts = 7, backoff = exponential("100ms", "1m"), floor = "10ms", jitter = full),
    breaker(failure_ratio = 0.5, window = 5, probes = fixed("2s")), ordered_by = key,
    filter = wanted::<A, B>, concurrency = 3, timeout = "4s", transactional, limits(payload = 11),
    codec = Checked<Vec<A>, 3>
"#;

/// A handler with these options.
fn with(options: impl IntoIterator<Item = TokenTree>) -> DeriveInput {
    let options: TokenStream = options.into_iter().collect();
    parse_quote!(
        #[consumer(#options)]
        struct Handler<'a, T: Bound<'a>>(&'a T)
        where
            T: facade::steadfast::Bound;
    )
}

fn derived(options: impl IntoIterator<Item = TokenTree>) -> String {
    crate::derive(&with(options)).to_string()
}

fn everything() -> Vec<TokenTree> {
    EVERYTHING.parse::<TokenStream>().unwrap().into_iter().collect()
}

fn is_refused(derived: &str) -> bool {
    derived.contains("compile_error")
}

#[test]
fn everything_at_once_is_accepted() {
    let derived = derived(everything());
    assert!(!is_refused(&derived), "{derived}");
    assert!(derived.contains("Declared for Handler < 'static , T >"), "{derived}");
}

const ELSEWHERE: &str = r#"
    crate = facade::steadfast, name = "a", source = "s", group = "g", dead_letter = "d",
    codec = facade::steadfast::Raw, filter = facade::steadfast::wanted,
    dedup_key = facade::steadfast::key, retry(max_attempts = 7), acknowledge("long-drain")
"#;

/// Whether every path to the crate begins at the facade, however often it is named.
fn is_elsewhere(derived: &str) -> bool {
    let of_facade = derived.matches("facade :: steadfast").count();
    of_facade > 0 && of_facade == derived.matches("steadfast").count()
}

#[test]
fn the_path_of_the_crate_is_put_into_no_path_of_the_users() {
    let derived = derived(ELSEWHERE.parse::<TokenStream>().unwrap());
    assert!(!is_refused(&derived) && is_elsewhere(&derived), "{derived}");
    assert!(!derived.contains("facade facade"), "{derived}");
    assert!(derived.contains("type Codec = facade :: steadfast :: Raw ;"), "{derived}");
}

#[test]
fn after_an_error_too_the_crate_is_where_it_is_said_to_be() {
    let mistaken = format!("{ELSEWHERE}, concurrency = 0");
    let derived = derived(mistaken.parse::<TokenStream>().unwrap());
    assert!(is_refused(&derived) && is_elsewhere(&derived), "{derived}");
}

#[test]
fn nothing_is_written_for_a_crate_of_which_nobody_knows_where_it_is() {
    let derived = derived("crate = \"facade\"".parse::<TokenStream>().unwrap());
    assert!(is_refused(&derived) && !derived.contains("impl"), "{derived}");
}

#[test]
fn nothing_can_be_left_out_unnoticed() {
    let unnoticed = (0..everything().len()).filter_map(|left_out| {
        let mut tokens = everything();
        let token = tokens.remove(left_out);
        (!is_refused(&derived(tokens))).then(|| token.to_string())
    });
    // Generic arguments, of which the compiler knows more.
    assert_eq!(unnoticed.collect::<Vec<_>>(), ["B", "A", "3"]);
}

#[test]
fn tokens_in_any_other_order_are_no_panic() {
    let tokens = everything();
    for first in 0..tokens.len() {
        for second in first + 1..tokens.len() {
            let mut swapped = tokens.clone();
            swapped.swap(first, second);
            derived(swapped);
        }
        derived(tokens[first..].iter().cloned());
        derived(tokens[..first].iter().cloned());
    }
}

/// The handler of the program in the README.
fn readme() -> DeriveInput {
    let readme = include_str!("../../README.md");
    let (_, program) = readme.split_once("```rust,no_run\n").unwrap();
    let file = syn::parse_file(program.split_once("```").unwrap().0).unwrap();
    let handler = file.items.into_iter().find_map(|item| match item {
        syn::Item::Struct(item) if item.ident == "ChargeCard" => Some(item),
        _ => None,
    });
    syn::parse2(handler.unwrap().to_token_stream()).unwrap()
}

#[test]
fn the_code_reads_as_if_written_by_hand() {
    let everything = with(everything());
    for (input, name) in [(readme(), "readme.rs"), (everything, "everything.rs")] {
        let file = syn::parse2(crate::derive(&input)).unwrap();
        let written = prettyplease::unparse(&file);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expanded").join(name);
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == expected, "{} should be, if it is meant so:\n{written}", path.display());
    }
}
