//! Numbers and columns for people.

use std::fmt;

/// Rows of columns: the first to the left, numbers to the right, and words behind them.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

struct Row {
    name: String,
    numbers: Vec<String>,
    words: String,
}

impl Table {
    /// The first row.
    pub(crate) fn headed(name: &str, columns: &[&str]) -> Self {
        let numbers = columns.iter().map(|&column| column.to_owned()).collect();
        Self(vec![Row { name: name.to_owned(), numbers, words: String::new() }])
    }

    /// Whether it has a head only.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() < 2
    }

    pub(crate) fn row(&mut self, name: &str, numbers: &[u64], words: &str) {
        let numbers = numbers.iter().copied().map(grouped).collect();
        self.0.push(Row { name: format!("  {name}"), numbers, words: words.to_owned() });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.iter().map(|row| row.numbers.len()).max().unwrap_or_default();
        let length = |text: &String| text.chars().count();
        let name = self.0.iter().map(|row| length(&row.name)).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.0.iter().filter_map(move |row| row.numbers.get(column)).map(length))
            .map(|lengths| lengths.max().unwrap_or_default())
            .collect();
        for row in &self.0 {
            let mut line = format!("{:name$}", row.name);
            for (number, width) in row.numbers.iter().zip(&widths) {
                line.push_str(&format!("  {number:>width$}"));
            }
            if !row.words.is_empty() {
                line.push_str("  ");
                line.push_str(&row.words);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let shown: Vec<_> = [0, 999, 1_000, 12_345_678].into_iter().map(grouped).collect();
        assert_eq!(shown, ["0", "999", "1,000", "12,345,678"]);
    }

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::headed("event", &["all", "done"]);
        table.row("push", &[1_000, 7], "");
        table.row("gollum", &[5, 0], "panics");
        let shown = "event       all  done\n  push    1,000     7\n  gollum      5     0  panics\n";
        assert_eq!(table.to_string(), shown);
    }
}
