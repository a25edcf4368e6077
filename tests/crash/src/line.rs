//! What a worker tells of itself, one line each.

use serde::{Deserialize, Serialize};

use crate::{Action, Point};

/// Something that happened in a worker. What it said before it was killed is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// What.
    pub event: Event,
    /// The dedup key.
    pub key: String,
    /// The fence of the attempt.
    pub fence: u64,
}

/// What a worker tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It listens for SIGTERM.
    Started,
    /// The store granted an attempt.
    Claimed,
    /// The store took the completion.
    Done,
    /// The store took the failure.
    Failed,
    /// The store took the attempt back.
    Released,
    /// The store took the burial.
    Dead,
    /// The store refused a write: the attempt holds the record no more.
    Fenced,
    /// It is about to kill or stop itself.
    At(Point, Action),
    /// Its handler is about to abort the process.
    Aborting,
}

impl Line {
    /// Reads one; `None` for other lines.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

pub(crate) fn say(event: Event, key: &str, fence: u64) {
    let line = Line { event, key: key.to_owned(), fence };
    // Standard output writes whole lines at once.
    println!("{}", serde_json::to_string(&line).expect("a line is JSON"));
}
