//! How many tests passed, failed and were skipped, read from what `cargo test` prints.

use std::{fmt, ops::AddAssign};

/// A count of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Totals {
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    /// What a summary line says, of libtest or of a test without a harness; `None` for other lines.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        match line.strip_prefix("test result: ") {
            // The verdict before the first ". " may carry colours: only what follows is read.
            Some(result) => Self::from_counts(result.split_once(". ")?.1.split("; ")),
            None => Self::from_bare_counts(line),
        }
    }

    /// `N passed, N failed` and perhaps `, N skipped`, with nothing else on the line: a sentence
    /// of the program's that looks similar is no summary.
    fn from_bare_counts(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split(' ').filter(|word| word.parse::<u64>().is_err()).collect();
        match words.join(" ").as_str() {
            "passed, failed" | "passed, failed, skipped" => Self::from_counts(line.split(", ")),
            _ => None,
        }
    }

    fn from_counts<'a>(counts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut totals = Self::default();
        let mut found = false;
        for (number, word) in counts.filter_map(|count| count.split_once(' ')) {
            let total = match word {
                "passed" => &mut totals.passed,
                "failed" => &mut totals.failed,
                "ignored" | "skipped" => &mut totals.skipped,
                _ => continue,
            };
            *total = number.parse().ok()?;
            found = true;
        }
        found.then_some(totals)
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Self) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.skipped += more.skipped;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    const fn totals(passed: u64, failed: u64, skipped: u64) -> Option<Totals> {
        Some(Totals { passed, failed, skipped })
    }

    #[test]
    fn a_good_result_of_libtest_is_counted() {
        let line = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.04s";
        assert_eq!(Totals::parse(line), totals(12, 0, 1));
    }

    #[test]
    fn a_bad_result_of_libtest_is_counted() {
        let line = "test result: FAILED. 2 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Totals::parse(line), totals(2, 5, 0));
    }

    #[test]
    fn colours_in_the_verdict_do_not_hide_the_counts() {
        let line =
            "test result: \u{1b}[32mok\u{1b}(B\u{1b}[m. 7 passed; 0 failed; 0 ignored; 0 measured";
        assert_eq!(Totals::parse(line), totals(7, 0, 0));
    }

    #[test]
    fn a_test_without_a_harness_may_print_bare_counts() {
        assert_eq!(Totals::parse("4 passed, 1 failed"), totals(4, 1, 0));
        assert_eq!(Totals::parse("4 passed, 0 failed, 2 skipped"), totals(4, 0, 2));
    }

    #[test]
    fn a_sentence_about_passing_is_no_summary() {
        for line in [
            "test a_failed_message_is_retried ... ok",
            "running 3 tests",
            "3 passed, 1 failed so far",
            "of these 3 passed, 1 failed",
            "passed, failed",
            "",
        ] {
            assert_eq!(Totals::parse(line), None, "{line}");
        }
    }

    #[test]
    fn totals_print_as_the_line_that_they_can_be_read_from() {
        let sum = Totals { passed: 40, failed: 0, skipped: 2 };
        assert_eq!(Totals::parse(&sum.to_string()), Some(sum));
    }
}
