//! Durations as people write them in a configuration.

use std::time::Duration;

/// With the units `d`, `h`, `m`, `s`, `ms`, the longest first; what is shorter is left out.
pub(super) fn said(duration: Duration) -> String {
    const UNITS: [(&str, u128); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = duration.as_millis();
    let mut parts = Vec::new();
    for (unit, millis) in UNITS {
        if rest >= millis {
            parts.push(format!("{}{unit}", rest / millis));
        }
        rest %= millis;
    }
    if parts.is_empty() { "0".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_said_as_it_is_written() {
        let said_so = [
            (Duration::ZERO, "0"),
            (Duration::from_millis(250), "250ms"),
            (Duration::from_millis(90_500), "1m 30s 500ms"),
            (Duration::from_secs(15 * 24 * 3600), "15d"),
        ];
        for (duration, words) in said_so {
            assert_eq!(said(duration), words);
        }
    }
}
