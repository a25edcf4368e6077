//! The writes that carry the token of a claim.

use std::{fmt, time::Duration};

use steadfast::store::{Note, RecordId, State, Store, StoreError, Token, Written};

/// A write that only the owner of a record may make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    Complete,
    Fail { after: Duration, note: Note },
    Release,
    Bury(Note),
    Extend(Duration),
}

impl Write {
    /// One of each kind; the extension is by this much.
    pub(crate) fn all(lease: Duration) -> [Self; 5] {
        [Self::Complete, Self::fail(), Self::Release, Self::bury(), Self::Extend(lease)]
    }

    /// A failure that is due again at once.
    pub(crate) fn fail() -> Self {
        Self::fail_for(Duration::ZERO)
    }

    /// A failure that is due again after this time.
    pub(crate) fn fail_for(after: Duration) -> Self {
        Self::Fail { after, note: Note::new("transient: connection reset") }
    }

    /// A burial.
    pub(crate) fn bury() -> Self {
        Self::Bury(Note::new("permanent: no such account"))
    }

    /// Makes the call.
    pub(crate) async fn make(
        &self,
        store: &dyn Store,
        id: &RecordId,
        token: &Token,
    ) -> Result<Written, StoreError> {
        match self {
            Self::Complete => store.complete(id, token).await,
            Self::Fail { after, note } => store.fail(id, token, *after, note).await,
            Self::Release => store.release(id, token).await,
            Self::Bury(note) => store.bury(id, token, note).await,
            Self::Extend(lease) => store.extend(id, token, *lease).await,
        }
    }

    /// The state that a record is in after it.
    pub(crate) fn leads_to(&self) -> State {
        match self {
            Self::Complete => State::Done,
            Self::Fail { .. } | Self::Release => State::Failed,
            Self::Bury(_) => State::Dead,
            Self::Extend(_) => State::InProgress,
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "complete",
            Self::Fail { .. } => "fail",
            Self::Release => "release",
            Self::Bury(_) => "bury",
            Self::Extend(_) => "extend",
        })
    }
}
