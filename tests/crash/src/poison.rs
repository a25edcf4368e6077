//! Messages that no attempt can end well.

use std::process;

use serde::{Deserialize, Serialize};
use steadfast::{HandlerError, Reason};

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Poison {
    /// Its handler aborts the process.
    Abort,
    /// Its handler fails, at every attempt.
    Fail,
    /// Its handler panics, at every attempt.
    Panic,
    /// Its handler refuses it for good, at the first attempt.
    Refuse,
    /// Its bytes cannot be decoded.
    Garbage,
}

/// What a handler says when it panics as it was told.
pub const PANIC: &str = "this message is poison";

impl Poison {
    /// Why it is given up, in the end.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Garbage => Reason::Undecodable,
            Self::Refuse => Reason::Permanent,
            Self::Abort | Self::Fail | Self::Panic => Reason::Exhausted,
        }
    }

    /// How often its handler comes back, having written, to be called again.
    pub(crate) fn repeats(self, max_attempts: u32) -> usize {
        match self {
            Self::Fail | Self::Panic => max_attempts as usize - 1,
            Self::Abort | Self::Refuse | Self::Garbage => 0,
        }
    }

    /// What the handler does with it.
    pub(crate) fn strike(self) -> Result<(), HandlerError> {
        match self {
            Self::Abort => process::abort(),
            Self::Panic => panic!("{PANIC}"),
            Self::Refuse => Err(HandlerError::permanent("this message is poison")),
            Self::Fail | Self::Garbage => Err(HandlerError::transient("this message is poison")),
        }
    }
}
