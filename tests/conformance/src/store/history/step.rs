//! What happened, in words, without what may differ between stores.

use std::fmt;

use steadfast::store::{Answer, Written};

use super::{
    call::{Call, Reply},
    worker::{Action, Worker},
};

/// One call and its answer, without times and fences. Prints as a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    call: String,
    reply: String,
}

impl Step {
    pub(super) fn new(call: &Call, reply: &Reply) -> Self {
        Self { call: call.to_string(), reply: reply.to_string() }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, self.reply)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work { worker: Worker { number, key, odd, .. }, action } => {
                let odd = if *odd { ", with another payload," } else { "" };
                write!(f, "key {key}, worker {number}{odd} {action}")
            }
            Self::Rearm { key, under, .. } => write!(f, "key {key} is re-armed under {under}"),
            Self::Reap => f.write_str("the reaper comes"),
            Self::Pass { ticks } => write!(f, "{ticks} ticks pass"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(lease) => write!(f, "claims for {lease} ticks"),
            Self::Write(write) => write!(f, "wants to {write}"),
            Self::Commit => f.write_str("commits an effect"),
            Self::RollBack => f.write_str("rolls an effect back"),
            Self::Abandon => f.write_str("drops a transaction"),
            Self::Crash => f.write_str("crashes"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(Answer::Granted(grant)) => {
                write!(f, "granted, attempt {}", grant.attempts)
            }
            Self::Answer(Answer::Done) => f.write_str("done"),
            Self::Answer(Answer::Dead { .. }) => f.write_str("dead"),
            Self::Answer(Answer::Busy(_)) => f.write_str("busy"),
            Self::Answer(Answer::NotYet(_)) => f.write_str("not yet"),
            Self::Answer(Answer::Conflict) => f.write_str("conflict"),
            Self::Answer(other) => write!(f, "{other:?}"),
            Self::Written(Written::Applied) => f.write_str("applied"),
            Self::Written(Written::Fenced) => f.write_str("fenced"),
            Self::Removed(records) => write!(f, "removed {records}"),
            Self::Nothing => f.write_str("no reply"),
            Self::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}
