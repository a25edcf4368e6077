//! What ties a delivery to its record: the dedup key and the claim it holds.

mod dedup_key;
mod key_field;
mod leases;

use std::{sync::Arc, time::Duration};

pub(crate) use self::leases::{Lease, Leases};
pub use self::{dedup_key::DedupKey, key_field::KeyField};
use crate::store::{Lent, Note, RecordId, Store, StoreError, Token, Written};

/// A record that this attempt holds, its lease renewed for as long as this exists.
pub(crate) struct Held {
    store: Arc<dyn Store>,
    id: RecordId,
    token: Token,
    lease: Lease,
}

impl Held {
    pub(crate) fn new(store: Arc<dyn Store>, id: RecordId, token: Token, lease: Lease) -> Self {
        Self { store, id, token, lease }
    }

    pub(crate) fn id(&self) -> &RecordId {
        &self.id
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// Keeps the claim for as long as it takes to end it.
    pub(crate) fn attempt_ended(&self) {
        self.lease.uncap();
    }

    pub(crate) fn lend(&self) -> Option<Box<dyn Lent>> {
        self.store.lend(&self.id, &self.token)
    }

    /// Makes one write with this claim's token.
    pub(crate) async fn write(&self, end: &End) -> Result<Written, StoreError> {
        let (store, id, token) = (&*self.store, &self.id, &self.token);
        match end {
            End::Complete => store.complete(id, token).await,
            End::Fail { after, note } => store.fail(id, token, *after, note).await,
            End::Release => store.release(id, token).await,
            End::Bury(note) => store.bury(id, token, note).await,
        }
    }
}

impl End {
    /// The same end without words, if it has any.
    pub(crate) fn without_words(&self) -> Option<Self> {
        match self {
            Self::Fail { after, note } if !note.error.is_empty() => {
                Some(Self::Fail { after: *after, note: Note::new("") })
            }
            Self::Bury(note) if !note.error.is_empty() => Some(Self::Bury(Note::new(""))),
            _ => None,
        }
    }
}

/// How a claim ends.
pub(crate) enum End {
    Complete,
    Fail { after: Duration, note: Note },
    Release,
    Bury(Note),
}
