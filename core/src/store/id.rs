//! The names of a record: its scope and its key.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

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
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Zero from `length` on, so that keys compare as their bytes do.
    bytes: [u8; Self::MAX],
    length: u8,
}

impl Key {
    /// Longest key, in bytes.
    pub const MAX: usize = 64;
    /// Begins a digest. A short key that begins like one is digested too, so that the two forms
    /// never meet.
    const TAG: &[u8] = b"sha256:";

    /// The key of these bytes; `None` for an empty one.
    pub fn new(raw: impl AsRef<[u8]>) -> Option<Self> {
        let raw = raw.as_ref();
        if raw.len() <= Self::MAX && !raw.starts_with(Self::TAG) {
            return Self::stored(raw);
        }
        Self::stored([Self::TAG, &Sha256::digest(raw)].concat())
    }

    /// A key from its [bytes](Key::as_bytes), as a store or a dead letter holds them. `None` if no
    /// key has these.
    pub fn stored(stored: impl AsRef<[u8]>) -> Option<Self> {
        let stored = stored.as_ref();
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..stored.len())?.copy_from_slice(stored);
        let length = u8::try_from(stored.len()).ok().filter(|length| *length > 0)?;
        Some(Self { bytes, length })
    }

    /// The bytes that identify the record.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.length)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_become_digests_that_no_short_key_can_equal() {
        let long = Key::new(vec![7; 65]).unwrap();
        assert!(long.as_bytes().len() <= Key::MAX);
        let forged = Key::new(long.as_bytes()).unwrap();
        assert_ne!(forged, long);
        assert_eq!(Key::new(vec![7; 64]).unwrap().as_bytes(), [7; 64]);
        assert_eq!(Key::new(""), None);
        assert_eq!(Key::stored([7; 65]), None);
    }

    #[test]
    fn keys_compare_as_their_bytes_do() {
        let mut keys = ["b", "a\0", "a", "ab", "\u{ff}"].map(|raw| Key::new(raw).unwrap());
        keys.sort();
        assert!(keys.is_sorted_by_key(|key| key.as_bytes().to_vec()));
        assert_ne!(Key::new("a"), Key::new("a\0"));
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
