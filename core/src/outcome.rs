//! What became of a delivery.

use std::{borrow::Cow, fmt, time::Duration};

use crate::{Cancelled, Failure};

/// What a process made of a delivery. The consumer settles by it, and nothing else settles.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Handled, and recorded as done where there is a store. Acked.
    Done,
    /// The record says that this message has ended before. Acked.
    Duplicate(Ended),
    /// The filter does not want it. Acked.
    Ignored,
    /// The handler, a codec or a layer failed. The policy has not decided yet: only layers inside
    /// the idempotency middleware see this.
    Failed(Box<Failure>),
    /// The policy wants another attempt after this time. Requeued.
    Retry {
        /// How long to wait.
        after: Duration,
        /// What went wrong.
        failure: Box<Failure>,
    },
    /// The policy gives the message up. It is not acked: the dead letter middleware turns it into
    /// [`Outcome::DeadLettered`] once its destination has confirmed.
    Reject {
        /// Why the policy gave up.
        reason: Reason,
        /// What went wrong.
        failure: Box<Failure>,
    },
    /// Given up, and confirmed by the dead letter destination. Acked.
    DeadLettered(Reason),
    /// Not this consumer's to end now. Uses up no attempt.
    Release {
        /// What prevents it.
        cause: Cause,
        /// When it may be tried again; `None` hands it back at once.
        after: Option<Duration>,
    },
}

impl Outcome {
    /// A release that hands the message back at once.
    pub fn release(cause: Cause) -> Self {
        Self::Release { cause, after: None }
    }

    /// A failure for the policy to decide on.
    pub fn failed(failure: impl Into<Box<Failure>>) -> Self {
        Self::Failed(failure.into())
    }

    /// One lower-case word for metrics and spans.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Duplicate(_) => "duplicate",
            Self::Ignored => "ignored",
            Self::Failed(_) => "failed",
            Self::Retry { .. } => "retry",
            Self::Reject { .. } => "reject",
            Self::DeadLettered(_) => "dead_lettered",
            Self::Release { .. } => "release",
        }
    }

    pub(crate) fn conclusion(&self) -> Option<Conclusion> {
        match self {
            Self::Done => Some(Conclusion::Done),
            Self::Duplicate(ended) => Some(Conclusion::Duplicate(*ended)),
            Self::Ignored => Some(Conclusion::Ignored),
            Self::DeadLettered(reason) => Some(Conclusion::DeadLettered(*reason)),
            _ => None,
        }
    }
}

/// How a message ended that is delivered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// Its effects are applied.
    Done,
    /// It lies in the dead letters.
    Dead,
}

/// Why a message was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The attempts that the policy allows are used up.
    Exhausted,
    /// It is older than the policy's maximum age.
    Expired,
    /// The handler said that trying again is of no use.
    Permanent,
    /// The codec could not decode the payload.
    Undecodable,
    /// Its dedup key belongs to a message with another payload.
    Conflict,
    /// It has no dedup key where the policy requires one.
    NoDedupKey,
    /// Payload, key or headers are beyond the consumer's limits.
    Oversize,
}

impl Reason {
    /// All reasons with the words that stand in dead letters.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Exhausted, "exhausted"),
        (Self::Expired, "expired"),
        (Self::Permanent, "permanent"),
        (Self::Undecodable, "undecodable"),
        (Self::Conflict, "conflict"),
        (Self::NoDedupKey, "no_dedup_key"),
        (Self::Oversize, "oversize"),
    ];

    /// The word that stands in dead letters, metrics and spans.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(reason, _)| *reason == self).map_or("unknown", |(_, word)| word)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a delivery was released.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Another owner is at work on this dedup key (P5).
    Busy,
    /// The record says that its retry is not due.
    NotYet,
    /// The attempt was cancelled.
    Cancelled(Cancelled),
    /// The store's reply to the last write did not come: it may or may not have happened.
    Unknown,
    /// Something that the message needs is down: the store, a destination, a dependency that the
    /// handler named (P8).
    Unavailable(Cow<'static, str>),
}

/// An outcome that ends the message, as far as this consumer is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conclusion {
    Done,
    Duplicate(Ended),
    Ignored,
    DeadLettered(Reason),
}

impl From<Conclusion> for Outcome {
    fn from(conclusion: Conclusion) -> Self {
        match conclusion {
            Conclusion::Done => Self::Done,
            Conclusion::Duplicate(ended) => Self::Duplicate(ended),
            Conclusion::Ignored => Self::Ignored,
            Conclusion::DeadLettered(reason) => Self::DeadLettered(reason),
        }
    }
}
