//! How long the tests of each crate took, read from what `cargo test` prints.

use std::{collections::BTreeMap, fmt};

/// Seconds by crate. It displays as a line, the longest first.
#[derive(Debug, Default)]
pub(crate) struct Times {
    by_crate: BTreeMap<String, f64>,
    /// Cargo names it once, before the first of its test programs.
    now: String,
}

impl Times {
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(name) = crate_of(line) {
            self.now = name;
        }
        if let Some(seconds) = seconds_of(line) {
            *self.by_crate.entry(self.now.clone()).or_default() += seconds;
        }
    }
}

/// `Running unittests src/lib.rs (target/debug/deps/the_crate-0123456789abcdef)`
fn crate_of(line: &str) -> Option<String> {
    let program = line.trim_start().strip_prefix("Running unittests ")?.rsplit_once('/')?.1;
    Some(program.rsplit_once('-')?.0.replace('_', "-"))
}

/// `test result: ok. 3 passed; …; finished in 1.25s`
fn seconds_of(line: &str) -> Option<f64> {
    let told = line.strip_prefix("test result: ")?.rsplit_once("finished in ")?.1;
    told.trim_end_matches('s').parse().ok()
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times: Vec<_> = self.by_crate.iter().collect();
        times.sort_by(|one, other| other.1.total_cmp(one.1));
        let times: Vec<_> = times
            .into_iter()
            .filter(|(_, seconds)| **seconds >= 1.0)
            .map(|(name, seconds)| format!("{name} {seconds:.0} s"))
            .collect();
        f.write_str(&times.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn the_programs_of_a_crate_count_together_and_the_longest_stands_first() {
        let mut times = Times::default();
        for line in [
            "     Running unittests src/lib.rs (target/debug/deps/one_crate-0123456789abcdef)",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s",
            "     Running unittests src/main.rs (target/debug/deps/other-0123456789abcdef)",
            "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2.00s",
            "     Running tests/faults.rs (target/debug/deps/faults-0123456789abcdef)",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 60.00s",
            "a test says something that is finished in time",
        ] {
            times.read(line);
        }
        assert_eq!(times.to_string(), "other 62 s, one-crate 1 s");
    }
}
