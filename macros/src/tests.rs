//! The whole way, for input that nobody would write on purpose.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

const EVERYTHING: &str = r#"
    name = "a", source = "s", group = "g", dead_letter = "d", dedup_key = header("id"),
    retry(max_attempts = 7, backoff = exponential("100ms", "1m"), floor = "10ms", jitter = full),
    breaker(failure_ratio = 0.5, window = 5, probes = fixed("2s")), ordered_by = key,
    filter = wanted::<A, B>, concurrency = 3, timeout = "4s", transactional, limits(payload = 11),
    codec = Checked<Vec<A>, 3>
"#;

fn derived(options: impl IntoIterator<Item = TokenTree>) -> String {
    let options: TokenStream = options.into_iter().collect();
    let input = quote!(
        #[consumer(#options)]
        struct Handler<'a, T: Bound<'a>>(&'a T);
    );
    crate::derive(&syn::parse2(input).unwrap()).to_string()
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
