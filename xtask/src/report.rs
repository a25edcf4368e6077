//! What became of each step, and the table and the last line that tell it.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::totals::Totals;

/// The steps that have run so far. It displays as a table, then the line with the sum.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    step: String,
    totals: Totals,
    elapsed: Duration,
    problem: Option<String>,
}

impl Report {
    /// Runs a step between a line that names it and a line that says how it ended.
    pub(crate) fn run(&mut self, step: String, work: impl FnOnce() -> Result<Totals>) {
        println!("\n==> {step}");
        let started = Instant::now();
        let result = work();
        let row = Row::new(step, result, started.elapsed());
        if let Some(problem) = &row.problem {
            eprintln!("error: {problem}");
        }
        println!("<== {row}");
        self.rows.push(row);
    }

    /// Nothing failed and something passed.
    pub(crate) fn is_success(&self) -> bool {
        let sum = self.sum();
        sum.failed == 0 && sum.passed > 0
    }

    fn sum(&self) -> Totals {
        let mut sum = Totals::default();
        for row in &self.rows {
            sum += row.totals;
        }
        sum
    }
}

impl Row {
    fn new(step: String, result: Result<Totals>, elapsed: Duration) -> Self {
        let (totals, problem) = match result {
            Ok(totals) => (totals, None),
            Err(problem) => (Totals::FAILED, Some(format!("{problem:#}"))),
        };
        Self { step, totals, elapsed, problem }
    }

    fn verdict(&self) -> &'static str {
        match self.totals {
            Totals { failed: 1.., .. } => "FAILED",
            Totals { passed: 0, skipped: 1.., .. } => "skipped",
            _ => "ok",
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{:<12}{:<8}{seconds:>8.1} s", self.step, self.verdict())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for row in &self.rows {
            writeln!(f, "{row}   {}", row.totals)?;
        }
        for Row { step, problem, .. } in &self.rows {
            if let Some(problem) = problem {
                writeln!(f, "\n{step}: {problem}")?;
            }
        }
        writeln!(f, "\n{}", self.sum())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::Report;
    use crate::totals::Totals;

    fn report(results: impl IntoIterator<Item = anyhow::Result<Totals>>) -> Report {
        let mut report = Report::default();
        for result in results {
            report.run("step".to_owned(), || result);
        }
        report
    }

    #[test]
    fn the_last_line_is_the_sum_of_all_steps() {
        let counted = Totals { passed: 9, failed: 2, skipped: 1 };
        let report = report([Ok(Totals::PASSED), Ok(counted), Err(anyhow!("broken"))]);
        let shown = report.to_string();
        assert_eq!(shown.lines().last(), Some("10 passed, 3 failed, 1 skipped"));
        assert!(shown.contains("step: broken"));
    }

    #[test]
    fn one_failed_step_fails_the_whole() {
        assert!(!report([Ok(Totals::PASSED), Err(anyhow!("broken"))]).is_success());
        assert!(!report([Ok(Totals::PASSED), Ok(Totals::FAILED)]).is_success());
    }

    #[test]
    fn a_skipped_step_does_not_fail_the_whole() {
        let report = report([Ok(Totals::PASSED), Ok(Totals::SKIPPED)]);
        assert!(report.is_success());
        assert!(report.to_string().contains("skipped"));
    }

    #[test]
    fn nothing_passed_is_no_success() {
        assert!(!report([]).is_success());
        assert!(!report([Ok(Totals::default())]).is_success());
        assert!(!report([Ok(Totals::SKIPPED)]).is_success());
    }
}
