//! Durations as they are written: `250ms`, `10s`, `1m 30s`.

use std::time::Duration;

use proc_macro2::TokenStream;
use syn::Lit;

use super::nearest::nearest;

/// Longest first: a duration is written in this order.
const UNITS: [(&str, u64); 5] =
    [("d", 24 * 60 * 60 * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1)];

/// Reads the value of the option `name`.
pub(crate) fn of_tokens(name: &str, tokens: &TokenStream) -> Result<Duration, String> {
    match syn::parse2::<Lit>(tokens.clone()) {
        Ok(Lit::Str(text)) => parse(&text.value()).map_err(|why| format!("`{name}`: {why}")),
        Ok(Lit::Int(number)) if number.suffix().is_empty() => Err(format!(
            "`{name}` takes a duration with its unit: write \"{number}s\" or \"{number}ms\""
        )),
        Ok(Lit::Int(number)) => {
            Err(format!("`{name}` takes a duration in quotes: write \"{number}\""))
        }
        _ => Err(format!("`{name}` takes a duration, such as \"250ms\", \"10s\" or \"1m 30s\"")),
    }
}

/// Reads a duration.
///
/// # Errors
/// What is wrong with it, and how to write it.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(r#"an empty duration: write for example "10s""#.into());
    }
    let mut units = UNITS.iter();
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if after.starts_with('.') {
            return Err(format!(
                "{text:?} has a fraction: write it in smaller units, such as \"1s 500ms\""
            ));
        }
        if number.is_empty() {
            return Err(format!(
                "{text:?} is not a duration: write for example \"250ms\" or \"1m 30s\""
            ));
        }
        if unit.is_empty() {
            return Err(format!(
                "{text:?} has a number without its unit: write \"{number}s\" or \"{number}ms\""
            ));
        }
        let length = UNITS.iter().find(|known| known.0 == unit).ok_or_else(|| unknown(unit))?.1;
        if !units.any(|known| known.0 == unit) {
            return Err(format!(
                "{text:?} is out of order: each unit once, the longest first, as in \"1m 30s\""
            ));
        }
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(length));
        let sum = part.and_then(|part| total.checked_add(part));
        total = sum.ok_or_else(|| format!("{text:?} is longer than a duration can be"))?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(total))
}

fn unknown(unit: &str) -> String {
    const LONG: [(&str, &str); 5] =
        [("days", "d"), ("hours", "h"), ("minutes", "m"), ("seconds", "s"), ("millis", "ms")];
    let long = LONG.iter().find(|(long, _)| unit.len() > 1 && long.starts_with(unit));
    let short = UNITS.map(|unit| unit.0);
    match long.map(|(_, short)| *short).or_else(|| nearest(&unit.to_lowercase(), short.into_iter()))
    {
        Some(meant) => format!("unknown unit `{unit}`: did you mean `{meant}`?"),
        None => format!("unknown unit `{unit}`: there are `{}`", short.join("`, `")),
    }
}

/// Writes a duration as it would be written in an attribute.
pub(crate) fn shown(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut parts = Vec::new();
    for (unit, length) in UNITS {
        let count = rest / u128::from(length);
        rest %= u128::from(length);
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let cases = [
            ("250ms", 250),
            ("10s", 10_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("15d", 1_296_000_000),
            ("1m 30s", 90_000),
            ("1m30s", 90_000),
            ("0s", 0),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_fix() {
        let cases = [
            ("", "write for example"),
            ("10", r#"write "10s""#),
            ("1.5s", "1s 500ms"),
            ("soon", "write for example"),
            ("-5s", "write for example"),
            ("10 s", r#"write "10s""#),
            ("5min", "did you mean `m`?"),
            ("10sec", "did you mean `s`?"),
            ("3S", "did you mean `s`?"),
            ("3y", "there are `d`, `h`, `m`, `s`, `ms`"),
            ("30s 1m", "the longest first"),
            ("1s 1s", "each unit once"),
            ("999999999999999d", "longer than"),
            ("99999999999999999999s", "longer than"),
        ];
        for (text, fix) in cases {
            let why = parse(text).unwrap_err();
            assert!(why.contains(fix), "{text}: {why}");
        }
    }

    #[test]
    fn a_duration_is_shown_as_it_is_written() {
        for text in ["1d 2h 3m 4s 5ms", "1m 30s", "0s"] {
            assert_eq!(shown(parse(text).unwrap()), text);
        }
    }
}
