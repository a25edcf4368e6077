//! Two loops on the bare client and two consumers, who take turns.

use std::fmt::Display;

use anyhow::Result;

use crate::{
    Measured,
    process::{forget_peak, peak},
    samples::{progress, sample, to_line},
};

/// Rounds of a comparison.
pub const ROUNDS: usize = 5;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The bare client, as its manual shows it.
    Bare,
    /// The bare client, by who knows what it costs.
    Tuned,
    /// A consumer without a store.
    Forgetful,
    /// A consumer with PostgreSQL.
    Remembering,
}

impl Side {
    const ALL: [Self; 4] = [Self::Bare, Self::Tuned, Self::Forgetful, Self::Remembering];

    fn words(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Tuned => "bare, tuned",
            Self::Forgetful => "steadfast",
            Self::Remembering => "with PostgreSQL",
        }
    }
}

/// Measures each row in each round, every side in turn. Prints rates with their ratios within the
/// round, and, behind an empty line, what a message costs the process.
///
/// # Errors
/// Those of `measure`.
pub async fn compare<R: Display>(
    rows: &[R],
    measure: impl AsyncFn(&R, Side) -> Result<Measured>,
) -> Result<()> {
    let mut costs = Vec::new();
    for round in 1..=ROUNDS {
        for row in rows {
            progress(&format!("{row}, round {round} of {ROUNDS}"));
            let mut found = Vec::new();
            for side in in_turn(round, Side::ALL) {
                forget_peak()?;
                found.push((side, measure(row, side).await?, peak()?));
            }
            found.sort_by_key(|(side, ..)| *side as u8);
            for (side, measured, _) in &found {
                let words = side.words();
                sample(row, &format!("{words}: messages/s"), measured.rate);
                costs.push(to_line(row, &format!("{words}: processor µs"), measured.cost));
            }
            let [bare, tuned, forgetful, remembering] = [0, 1, 2, 3].map(|place| &found[place]);
            sample(row, "steadfast / bare", forgetful.1.rate / bare.1.rate);
            sample(row, "steadfast / tuned", forgetful.1.rate / tuned.1.rate);
            sample(row, "with PostgreSQL / bare", remembering.1.rate / bare.1.rate);
            for (side, _, peak) in [bare, forgetful] {
                costs.push(to_line(row, &format!("{}: MiB", side.words()), *peak));
            }
        }
    }
    println!();
    costs.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// The other way round in every second round, so that nobody always comes after the same one.
pub fn in_turn<S, const N: usize>(round: usize, mut sides: [S; N]) -> [S; N] {
    if round.is_multiple_of(2) {
        sides.reverse();
    }
    sides
}
