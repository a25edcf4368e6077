//! The record and its token.

use std::time::Duration;

use super::{Digest, RecordId};
use crate::delivery::History;

/// Who holds a record: random for each attempt, so it never repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub u128);

impl Owner {
    /// A new owner.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

/// Proof of a claim: `owner` guards the record, `fence` grows with every claim of the key and is
/// for outside systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Token {
    /// Compared by equality.
    pub owner: Owner,
    /// Compared by order.
    pub fence: u64,
}

impl Token {
    /// A token, as a store makes it.
    pub fn new(owner: Owner, fence: u64) -> Self {
        Self { owner, fence }
    }
}

/// A request for a record.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Claim {
    /// Which record.
    pub id: RecordId,
    /// For whom. The same owner asking again gets the same claim.
    pub owner: Owner,
    /// Of which payload.
    pub digest: Digest,
    /// For how long.
    pub lease: Duration,
    /// How long the record is kept once it has ended.
    pub retention: Duration,
}

impl Claim {
    /// A claim for a new owner.
    pub fn new(id: RecordId, digest: Digest, lease: Duration, retention: Duration) -> Self {
        Self { id, owner: Owner::random(), digest, lease, retention }
    }
}

/// A claim that was granted.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Grant {
    /// What later writes must carry.
    pub token: Token,
    /// Claims granted so far, this one included, less the released ones.
    pub attempts: u32,
    /// What failed before.
    pub history: History,
}

impl Grant {
    /// A grant, as a store makes it.
    pub fn new(token: Token, attempts: u32, history: History) -> Self {
        Self { token, attempts, history }
    }
}

/// What a record remembers of an error: bounded words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The kind of failure and the error's text.
    pub error: String,
}

impl Note {
    /// Longest text, in bytes.
    pub const MAX: usize = crate::failure::MAX_ERROR_TEXT + 64;

    /// A note; longer text is cut, and NUL, which some databases refuse, is replaced.
    pub fn new(error: impl Into<String>) -> Self {
        let mut error = error.into().replace('\0', "\u{fffd}");
        crate::failure::truncate(&mut error, Self::MAX);
        Self { error }
    }
}

/// A record as it stands, for tools and tests.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// Where in its life it is.
    pub state: State,
    /// The fence of its last claim.
    pub fence: u64,
    /// Claims granted, less the released ones.
    pub attempts: u32,
    /// How often it was re-armed.
    pub redrives: u32,
    /// What failed.
    pub history: History,
}

impl Record {
    /// A record, as a store reads it.
    pub fn new(state: State, fence: u64, attempts: u32, redrives: u32, history: History) -> Self {
        Self { state, fence, attempts, redrives, history }
    }
}

/// Where in its life a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// An owner works on it, or died doing so.
    InProgress,
    /// It may be claimed again.
    Failed,
    /// Its effects are applied.
    Done,
    /// It lies in the dead letters.
    Dead,
}
