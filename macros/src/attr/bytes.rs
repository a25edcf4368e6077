//! Amounts of memory: `1024`, `"64KiB"`.

use proc_macro2::TokenStream;
use syn::Lit;

const UNITS: [(&str, usize); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads the value of the option `name`.
pub(crate) fn of_tokens(name: &str, tokens: &TokenStream) -> Result<usize, String> {
    let bytes = match syn::parse2::<Lit>(tokens.clone()) {
        Ok(Lit::Int(number)) if number.suffix().is_empty() => number.base10_parse().ok(),
        Ok(Lit::Str(text)) => parse(&text.value()),
        _ => None,
    };
    bytes.ok_or_else(|| {
        format!("`{name}` takes bytes: a whole number, or one with its unit, such as \"64KiB\" or \"16MiB\"")
    })
}

fn parse(text: &str) -> Option<usize> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let size = UNITS.iter().find(|known| known.0 == unit.trim_start())?.1;
    number.parse::<usize>().ok()?.checked_mul(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_in_powers_of_two() {
        assert_eq!(parse("64KiB"), Some(65_536));
        assert_eq!(parse("16 MiB"), Some(16_777_216));
        assert_eq!(parse("1kB"), None);
        assert_eq!(parse("99999999999999999999GiB"), None);
    }
}
