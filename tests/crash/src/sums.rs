//! What happened in many rounds, in one line of the log of whoever ran them.

use std::{io::Write as _, time::Instant};

use crate::{Outcome, Plan, feed};

/// Counts, in the order in which they are told.
pub(crate) struct Sums {
    what: String,
    began: Instant,
    counts: [(&'static str, usize); 10],
}

impl Sums {
    pub(crate) fn of(plan: &Plan, what: &str) -> Self {
        let what = format!("{} and PostgreSQL, {what}", feed::scheme(plan));
        let names = [
            "rounds",
            "messages",
            "lost",
            "doubled",
            "out of order",
            "kills",
            "stops",
            "blows",
            "repeats in the deduplicated level",
            "stale writes refused",
        ];
        Self { what, began: Instant::now(), counts: names.map(|name| (name, 0)) }
    }

    pub(crate) fn add(&mut self, outcome: &Outcome) {
        let counts = [
            1,
            outcome.records.len(),
            outcome.lost(),
            outcome.doubled(),
            outcome.disordered().len(),
            outcome.kills,
            outcome.stops,
            outcome.blows,
            outcome.repeats() - outcome.doubled(),
            outcome.refused(),
        ];
        self.counts.iter_mut().zip(counts).for_each(|((_, sum), count)| *sum += count);
    }

    /// Not by `println!`: libtest keeps that back from tests that pass. In one piece, since they speak side
    /// by side.
    pub(crate) fn tell(&self) {
        let counts: Vec<_> =
            self.counts.iter().map(|(name, sum)| format!("{name} {sum}")).collect();
        let (what, seconds) = (&self.what, self.began.elapsed().as_secs());
        let line = format!("crash, {what}: {}, in {seconds} s\n", counts.join(", "));
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
