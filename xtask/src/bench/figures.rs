//! Tables of medians, from samples that a program prints: a row, a column and a value in each line.

use anyhow::{Context as _, Result};

use super::table::{Table, thousands};

/// Samples by row and column, both in the order in which they first came.
#[derive(Default)]
pub(crate) struct Figures {
    rows: Vec<String>,
    columns: Vec<String>,
    samples: Vec<(usize, usize, f64)>,
}

impl Figures {
    /// Takes what a program printed: `row`, `column` and `value`, with tabs between.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let mut figures = Self::default();
        for line in text.lines() {
            let mut words = line.split('\t');
            let mut word = || words.next().with_context(|| format!("not a sample: {line}"));
            let (row, column) = (word()?, word()?);
            let value = word()?.parse().with_context(|| format!("not a sample: {line}"))?;
            let place = (place(&mut figures.rows, row), place(&mut figures.columns, column));
            figures.samples.push((place.0, place.1, value));
        }
        Ok(figures)
    }

    /// The median of each, and the least and the greatest in brackets.
    pub(crate) fn table(&self) -> Table {
        let mut heading = vec![""];
        heading.extend(self.columns.iter().map(String::as_str));
        let mut table = Table::new(&heading);
        for (row, words) in self.rows.iter().enumerate() {
            let cells = (0..self.columns.len()).map(|column| self.cell(row, column));
            table.push([words.clone()].into_iter().chain(cells).collect());
        }
        table
    }

    fn cell(&self, row: usize, column: usize) -> String {
        let is_here = |sample: &&(usize, usize, f64)| (sample.0, sample.1) == (row, column);
        let mut values: Vec<_> = self.samples.iter().filter(is_here).map(|s| s.2).collect();
        values.sort_by(f64::total_cmp);
        let (Some(least), Some(most)) = (values.first(), values.last()) else {
            return "–".to_owned();
        };
        let median = number(values[values.len() / 2]);
        let (least, most) = (number(*least), number(*most));
        if least == most { median } else { format!("{median} ({least}–{most})") }
    }
}

fn place(known: &mut Vec<String>, name: &str) -> usize {
    known.iter().position(|known| known == name).unwrap_or_else(|| {
        known.push(name.to_owned());
        known.len() - 1
    })
}

/// Three digits that count, all of a whole number.
fn number(value: f64) -> String {
    match value.abs() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded")]
        100.0.. => thousands(value.round() as u64),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Figures, number};

    #[test]
    fn each_figure_is_a_median_with_its_spread() {
        let printed = "a\trate\t9000\na\tcost\t1\nb\trate\t5\na\trate\t12345\na\trate\t10000\n";
        let table = Figures::read(printed).unwrap().table().to_string();
        let rows: Vec<_> = table.lines().map(|line| line.replace(' ', "")).collect();
        assert_eq!(rows[2], "|a|10,000(9,000–12,345)|1.00|");
        assert_eq!(rows[3], "|b|5.00|–|");
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        assert!(Figures::read("warning: slow disk").is_err());
        assert!(Figures::read("a\tb\tc").is_err());
    }

    #[test]
    fn small_numbers_keep_their_digits() {
        let written = [0.0123, 1.5, 42.0, 99_999.6].map(number);
        assert_eq!(written, ["0.012", "1.50", "42.0", "100,000"]);
    }
}
