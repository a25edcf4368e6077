//! What kind of address an option holds. An address is never repeated: it may hold a password.

/// The scheme of the address `found`, one of `known`, or the word `embedded` itself.
///
/// # Errors
/// When it is neither, in words that name the option.
pub(crate) fn of<'a>(
    option: &str,
    found: &'a str,
    embedded: &str,
    known: &[&str],
) -> Result<&'a str, String> {
    let scheme = found.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        None if found == embedded => return Ok(found),
        Some(scheme) if known.contains(&scheme) => return Ok(scheme),
        _ => {}
    }
    let addresses: Vec<_> = known.iter().map(|scheme| format!("{scheme}://")).collect();
    let found = if is_word(found) { format!("is `{found}`") } else { "is not known".to_owned() };
    let addresses = addresses.join(", ");
    Err(format!("{option} {found}: needs {embedded}, or an address that begins with {addresses}"))
}

fn is_word(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphabetic())
}

/// Takes addresses out of a text that repeats what was given: an address in the wrong place may hold
/// a password, too.
pub(crate) fn redact(text: &str) -> String {
    let mut parts = text.split("://");
    let mut redacted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let address = part.find(|c: char| c.is_whitespace() || c == '\'').unwrap_or(part.len());
        redacted.push_str("://…");
        redacted.push_str(&part[address..]);
    }
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_one_and_known_schemes_are_found() {
        let of = |found| of("--store", found, "memory", &["postgres"]).ok();
        assert_eq!(of("memory"), Some("memory"));
        assert_eq!(of("postgres://host/db"), Some("postgres"));
        assert_eq!(of("memory://host"), None);
    }

    #[test]
    fn what_is_not_known_is_refused_without_repeating_an_address() {
        for (found, words) in [
            ("user:s3cret@host", "--store is not known: needs memory, or an address"),
            ("http://s3cret", "begins with postgres://, postgresql://"),
            ("redis", "--store is `redis`: needs memory"),
        ] {
            let problem = of("--store", found, "memory", &["postgres", "postgresql"]);
            let problem = problem.expect_err("it is not known");
            assert!(problem.contains(words) && !problem.contains("s3cret"), "{problem}");
        }
    }

    #[test]
    fn credentials_are_taken_out_of_addresses() {
        for (given, shown) in [
            ("no address", "no address"),
            ("'amqp://u:p@h/v' found", "'amqp://…' found"),
            ("a://u:p@h and b://h?p=x", "a://… and b://…"),
        ] {
            assert_eq!(redact(given), shown);
        }
    }
}
