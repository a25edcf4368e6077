//! Acknowledged warnings: their names are those of the rules of the core.

use syn::LitStr;

use super::Rule;
use crate::attr::{Options, nearest};

pub(super) const RULES: [Rule; 2] = [names_are_of_warnings, a_name_is_said_once];

const WARNINGS: [&str; 18] = [
    "narrow-bytes",
    "single-attempt",
    "quick-retries",
    "long-drain",
    "retention-within-redrive",
    "uncounted-attempts",
    "forgetful-store",
    "fragile-lease",
    "slow-takeover",
    "long-transactions",
    "broker-message-ids",
    "dedup-by-order-key",
    "order-not-kept",
    "long-waits-in-place",
    "hold-within-retries",
    "hold-within-queue",
    "timeout-beyond-renewal",
    "needless-acknowledgement",
];

const ERRORS: [&str; 33] = [
    "bad-name",
    "bad-group",
    "no-source",
    "no-dead-letter",
    "dead-letter-is-source",
    "unnamed-header",
    "no-subscription",
    "no-destination",
    "no-concurrency",
    "in-flight-below-concurrency",
    "no-bytes",
    "no-payload",
    "bad-waiting-share",
    "no-attempts",
    "no-timeout",
    "bad-backoff",
    "max-age-within-wait",
    "bad-breaker",
    "stalled-too-soon",
    "store-without-key",
    "key-without-store",
    "transactions-without-store",
    "lease-too-short",
    "lease-beyond-cap",
    "lease-cap-within-timeout",
    "retention-within-retries",
    "order-by-dedup-key",
    "unstable-message-ids",
    "unordered-source",
    "delivery-limit",
    "hold-within-attempt",
    "unknown-acknowledgement",
    "acknowledged-error",
];

fn names_are_of_warnings(options: &Options) -> Option<syn::Error> {
    let names = &options.acknowledge.as_ref()?.0;
    all(names.iter().filter_map(|name| Some(syn::Error::new_spanned(name, refused(name)?))))
}

fn a_name_is_said_once(options: &Options) -> Option<syn::Error> {
    let names = &options.acknowledge.as_ref()?.0;
    let again = names.iter().enumerate().filter(|(place, name)| names[..*place].contains(name));
    all(again.map(|(_, name)| {
        syn::Error::new_spanned(
            name,
            format!("`{}` is said twice: keep one of the two", name.value()),
        )
    }))
}

fn refused(name: &LitStr) -> Option<String> {
    let name = name.value();
    if WARNINGS.contains(&name.as_str()) {
        return None;
    }
    if ERRORS.contains(&name.as_str()) {
        return Some(format!(
            "`{name}` is an error, which nobody can acknowledge: mend its setting"
        ));
    }
    Some(match nearest(&name, WARNINGS.into_iter()) {
        Some(meant) => format!("there is no warning `{name}`: did you mean `{meant}`?"),
        None => format!("there is no warning `{name}`: there are `{}`", WARNINGS.join("`, `")),
    })
}

fn all(errors: impl Iterator<Item = syn::Error>) -> Option<syn::Error> {
    errors.reduce(|mut errors, error| {
        errors.combine(error);
        errors
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_that_the_documentation_lists() {
        let docs = include_str!("../../../docs/checks.md");
        let listed = |severity: &str| -> Vec<&str> {
            let row = |line: &'static str| line.strip_prefix("| `")?.split_once("` | ");
            let of_severity = |(name, rest): (_, &str)| rest.starts_with(severity).then_some(name);
            docs.lines().filter_map(row).filter_map(of_severity).collect()
        };
        assert_eq!(listed("warning |"), WARNINGS);
        assert_eq!(listed("error |"), ERRORS);
    }
}
