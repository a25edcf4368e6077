//! The record, its names and its token.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::delivery::History;

/// Whose records these are: the consumer's declared name, its group and the replay generation, so
/// that two consumers never hide each other's messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Longest scope, in bytes.
    pub const MAX: usize = 200;

    /// The scope of a consumer. A new generation makes a replay run messages again that an earlier
    /// one has done.
    ///
    /// # Errors
    /// Names the part that is empty, too long, or has characters other than ASCII letters, digits,
    /// `.`, `_` and `-`.
    pub fn new(consumer: &str, group: &str, generation: u32) -> Result<Self, String> {
        check_name("the consumer's name", consumer)?;
        check_name("the group", group)?;
        Ok(Self(format!("{consumer}/{group}/{generation}").into()))
    }

    /// A scope as another process wrote it, in a dead letter for instance.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (consumer, group, generation) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Self::new(consumer, group, generation.parse().ok()?).ok()
    }

    /// `consumer/group/generation`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks a name that becomes part of a scope, a metric or a destination.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), String> {
    const MAX: usize = 90;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > MAX || !name.chars().all(fits) {
        return Err(format!(
            "{what} is {:?}: it needs 1 to {MAX} of the characters A-Z a-z 0-9 . _ -",
            name.chars().take(MAX).collect::<String>()
        ));
    }
    Ok(())
}

/// A dedup key of any length and any bytes, in at most 64 bytes: short ones as they are, long ones
/// as a tagged SHA-256. `Debug` shows its length only: a key may be personal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Bytes);

impl Key {
    /// Longest key, in bytes.
    pub const MAX: usize = 64;
    /// Begins a digest. A short key that begins like one is digested too, so that the two forms
    /// never meet.
    const TAG: &[u8] = b"sha256:";

    /// The key of these bytes; `None` for an empty one.
    pub fn new(raw: impl Into<Bytes>) -> Option<Self> {
        let raw = raw.into();
        if raw.is_empty() {
            return None;
        }
        if raw.len() <= Self::MAX && !raw.starts_with(Self::TAG) {
            return Some(Self(raw));
        }
        let mut tagged = Self::TAG.to_vec();
        tagged.extend_from_slice(&Sha256::digest(&raw));
        Some(Self(tagged.into()))
    }

    /// A key from its [bytes](Key::as_bytes), as a store or a dead letter holds them. `None` if no
    /// key has these.
    pub fn stored(bytes: impl Into<Bytes>) -> Option<Self> {
        let bytes = bytes.into();
        (1..=Self::MAX).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The bytes that identify the record.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.0.len())
    }
}

/// What identifies a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct RecordId {
    /// Whose record.
    pub scope: Scope,
    /// Of which message.
    pub key: Key,
}

impl RecordId {
    /// The record of this key in this scope.
    pub fn new(scope: Scope, key: Key) -> Self {
        Self { scope, key }
    }
}

/// SHA-256 of a payload. Tells a key that was used for another payload from a duplicate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of a payload; an absent one differs from an empty one.
    pub fn of(payload: Option<&Bytes>) -> Self {
        match payload {
            Some(bytes) => Self(Sha256::digest(bytes).into()),
            None => Self([0; 32]),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

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

    /// A note; longer text is cut.
    pub fn new(error: impl Into<String>) -> Self {
        let mut error = error.into();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_become_digests_that_no_short_key_can_equal() {
        let long = Key::new(vec![7; 65]).unwrap();
        assert!(long.as_bytes().len() <= Key::MAX);
        let forged = Key::new(long.as_bytes().to_vec()).unwrap();
        assert_ne!(forged, long);
        assert_eq!(Key::new(vec![7; 64]).unwrap().as_bytes(), [7; 64]);
        assert_eq!(Key::new(""), None);
    }

    #[test]
    fn a_scope_survives_its_text() {
        let scope = Scope::new("billing.charge", "billing", 3).unwrap();
        assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        assert_eq!(Scope::parse("a/b"), None);
        assert!(Scope::new("a/b", "c", 0).unwrap_err().contains("consumer's name"));
        assert!(
            Scope::new(&"a".repeat(90), &"b".repeat(90), u32::MAX).unwrap().as_str().len()
                <= Scope::MAX
        );
    }

    #[test]
    fn debug_never_shows_a_key() {
        assert!(!format!("{:?}", Key::new("alice@example.org")).contains("alice"));
    }
}
