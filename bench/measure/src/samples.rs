//! What a program says.

use std::fmt::Display;

/// Prints one sample. Those of the same row and column are of one figure; those behind an empty line
/// are of another table.
pub fn sample(row: impl Display, column: &str, value: f64) {
    println!("{}", to_line(row, column, value));
}

pub(crate) fn to_line(row: impl Display, column: &str, value: f64) -> String {
    format!("{row}\t{column}\t{value}")
}

/// Says to whoever waits what is measured now.
pub fn progress(words: &str) {
    eprintln!("    {words}");
}
