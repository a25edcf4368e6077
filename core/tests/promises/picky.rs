//! A store of a user's own, around the one in memory, that refuses words or never answers.

use std::{
    any::Any,
    future::pending,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use steadfast::store::{
    Answer, Claim, Lent, MemoryStore, Note, Record, RecordId, Store, StoreError, Token, Written,
};

#[derive(Default)]
pub(crate) struct Picky {
    pub(crate) inner: MemoryStore,
    /// Refuses to write such a note.
    pub(crate) refuses: Option<fn(&Note) -> bool>,
    /// Takes so long to bury.
    pub(crate) buries_after: Duration,
    /// Never answers to a claim.
    pub(crate) hangs: bool,
    /// Answers the next claim as one whose record another statement still holds, though it is granted.
    pub(crate) hides_a_grant: AtomicBool,
    /// Lends transactions whose connection is lost when they are rolled back.
    pub(crate) loses_connections: bool,
    /// The same, also when they are committed.
    pub(crate) loses_commits: bool,
}

/// Its connection is lost at a rollback, and at a commit if it says so.
struct Lost(Box<dyn Lent>, bool);

#[async_trait]
impl Lent for Lost {
    async fn complete(self: Box<Self>) -> Result<Written, StoreError> {
        match self.1 {
            true => self.roll_back().await.map(|()| Written::Fenced),
            false => self.0.complete().await,
        }
    }

    async fn roll_back(self: Box<Self>) -> Result<(), StoreError> {
        self.0.roll_back().await?;
        // Long enough for others to fail meanwhile.
        tokio::time::sleep(Duration::from_millis(10)).await;
        Err(StoreError::unavailable("the connection was lost"))
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self.0.as_any_mut()
    }
}

impl Picky {
    fn look_at(&self, note: &Note) -> Result<(), StoreError> {
        match self.refuses {
            Some(refuses) if refuses(note) => Err(StoreError::Refused("a data error".into())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Picky {
    fn lends_transactions(&self) -> bool {
        self.inner.lends_transactions()
    }

    fn lend(&self, id: &RecordId, token: &Token) -> Option<Box<dyn Lent>> {
        let lent = self.inner.lend(id, token)?;
        let lost = self.loses_connections || self.loses_commits;
        Some(if lost { Box::new(Lost(lent, self.loses_commits)) } else { lent })
    }

    async fn claim(&self, claim: &Claim) -> Result<Answer, StoreError> {
        if self.hangs {
            pending::<()>().await;
        }
        let answer = self.inner.claim(claim).await;
        match self.hides_a_grant.swap(false, Ordering::Relaxed) {
            true => Ok(Answer::Busy(Duration::from_millis(100))),
            false => answer,
        }
    }

    async fn extend(
        &self,
        id: &RecordId,
        token: &Token,
        lease: Duration,
    ) -> Result<Written, StoreError> {
        self.inner.extend(id, token, lease).await
    }

    async fn complete(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        self.inner.complete(id, token).await
    }

    async fn fail(
        &self,
        id: &RecordId,
        token: &Token,
        after: Duration,
        note: &Note,
    ) -> Result<Written, StoreError> {
        self.look_at(note)?;
        self.inner.fail(id, token, after, note).await
    }

    async fn release(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        self.inner.release(id, token).await
    }

    async fn bury(&self, id: &RecordId, token: &Token, note: &Note) -> Result<Written, StoreError> {
        self.look_at(note)?;
        tokio::time::sleep(self.buries_after).await;
        self.inner.bury(id, token, note).await
    }

    async fn rearm(&self, id: &RecordId, fence: Option<u64>) -> Result<Written, StoreError> {
        self.inner.rearm(id, fence).await
    }

    async fn look(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.inner.look(id).await
    }

    async fn reap(&self, limit: usize) -> Result<usize, StoreError> {
        self.inner.reap(limit).await
    }
}
