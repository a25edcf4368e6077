//! What a store implements: the memory of what has been done.
//!
//! A record is one dedup key's row in one scope. Its life:
//!
//! | from | by | to |
//! |---|---|---|
//! | absent, or done and expired | [`claim`](Store::claim) | in progress, attempts 1, new fence |
//! | in progress, same owner | `claim` repeated after a lost reply | same fence, same attempts, lease renewed |
//! | in progress, lease over | `claim` | new owner, new fence, attempts + 1 |
//! | failed, and due | `claim` | new owner, new fence, attempts + 1 |
//! | in progress | [`extend`](Store::extend), by its owner | lease renewed |
//! | in progress | [`complete`](Store::complete), by its owner | done |
//! | in progress | [`fail`](Store::fail), by its owner | failed, with a time before which it is not due |
//! | in progress | [`release`](Store::release), by its owner | failed and due, attempts − 1 |
//! | in progress | [`bury`](Store::bury), by its owner | dead |
//! | dead | [`rearm`](Store::rearm) | failed and due, attempts 0, payload digest cleared |
//! | done or dead, expired | [`reap`](Store::reap) | absent |
//!
//! Every write after the claim carries the claim's token and answers [`Written::Fenced`] when the
//! record is no longer held by it (P3). All times are the store's own (P15). The calls come
//! concurrently, one record each; grouping them into one statement is the store's business. All are
//! idempotent: a call whose reply was lost is made again with the same token, and answers
//! [`Written::Applied`] again while the record still has the token's fence and the state that the
//! write leads to. A call that has not answered after 30 seconds is dropped and made again, so it
//! must not be harmful to drop one. (Two exceptions: a repeated `rearm`, and [`Lent::complete`].)
//!
//! [`Answer::Conflict`] comes before every other answer, unless the record is done and expired. A
//! record is kept from its end for as long as the claim's retention; a dead one answers as dead
//! until it is reaped. A re-armed record keeps its fence and its history.

mod id;
mod memory;
mod record;
mod shared;

use std::{any::Any, time::Duration};

use async_trait::async_trait;

pub(crate) use self::id::check_name;
pub use self::{
    id::{Digest, Key, RecordId, Scope},
    memory::{MemoryStore, MemoryTransaction},
    record::{Claim, Grant, Note, Owner, Record, State, Token},
};
use crate::broker::BoxError;

/// A durable memory of records. See the [module](self) for their life.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether [`Store::lend`] lends a transaction.
    fn lends_transactions(&self) -> bool {
        false
    }

    /// Whether the records outlive the process, and other processes see them.
    fn is_durable(&self) -> bool {
        true
    }

    /// Takes a record for one attempt, and counts the attempt, durably, before it runs (P6).
    async fn claim(&self, claim: &Claim) -> Result<Answer, StoreError>;

    /// Renews the lease, to `lease` from now.
    async fn extend(
        &self,
        id: &RecordId,
        token: &Token,
        lease: Duration,
    ) -> Result<Written, StoreError>;

    /// Records that the message is done.
    async fn complete(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError>;

    /// Records a failed attempt; the record is due again `after` from now.
    async fn fail(
        &self,
        id: &RecordId,
        token: &Token,
        after: Duration,
        note: &Note,
    ) -> Result<Written, StoreError>;

    /// Gives the record back with its attempt.
    async fn release(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError>;

    /// Records that the message lies in the dead letters. The time until it expires begins anew.
    async fn bury(&self, id: &RecordId, token: &Token, note: &Note) -> Result<Written, StoreError>;

    /// Makes a dead record ready to run again. With a fence, only if it died under this fence, so
    /// that a dead letter that comes twice re-arms once. [`Written::Fenced`] may also mean that an
    /// earlier call, whose reply was lost, has re-armed it.
    async fn rearm(&self, id: &RecordId, fence: Option<u64>) -> Result<Written, StoreError>;

    /// The record as it stands.
    async fn look(&self, id: &RecordId) -> Result<Option<Record>, StoreError>;

    /// Removes at most `limit` expired records and says how many.
    async fn reap(&self, limit: usize) -> Result<usize, StoreError>;

    /// Lends a transaction in which [`Lent::complete`] is the last statement (P4). It should cost
    /// nothing until the handler asks for it.
    fn lend(&self, id: &RecordId, token: &Token) -> Option<Box<dyn Lent>> {
        let _ = (id, token);
        None
    }
}

/// A transaction lent to one attempt. The handler reaches it by its type, through
/// [`Context::lent`](crate::Context::lent).
#[async_trait]
pub trait Lent: Send {
    /// Completes the record as the last statement, and commits. When the record is no longer held,
    /// or has ended, everything is rolled back and the answer is [`Written::Fenced`].
    ///
    /// # Errors
    /// [`StoreError::RolledBack`] when the transaction cannot commit. When the reply to the commit
    /// was lost, the implementation reads the record: done under this fence means committed. Only
    /// if that fails too it is [`StoreError::Unavailable`].
    async fn complete(self: Box<Self>) -> Result<Written, StoreError>;

    /// The transaction as the handler knows it: itself, or the one that it wraps.
    fn as_any_mut(&mut self) -> &mut dyn Any;

    /// Rolls everything back, whatever it answers: what cannot be rolled back by words is rolled
    /// back by closing the connection.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the transaction was lost before: whatever the attempt failed
    /// of, an outage broke it, and it is given back (P8).
    async fn roll_back(self: Box<Self>) -> Result<(), StoreError>;
}

/// A store's answer to a claim.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// The record is ours for this attempt.
    Granted(Grant),
    /// It has been done.
    Done,
    /// It lies in the dead letters, given up under this fence.
    Dead {
        /// The fence of its last attempt.
        fence: u64,
    },
    /// Another owner works on it; its lease lasts this long.
    Busy(Duration),
    /// Its retry is due after this time.
    NotYet(Duration),
    /// The record belongs to another payload.
    Conflict,
}

/// Whether a write was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// It was.
    Applied,
    /// It was not: the token no longer holds the record, or the record is not in the state.
    Fenced,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store is down, or its reply was lost: the call is made again with the same token.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] BoxError),
    /// The lent transaction could not commit and was rolled back: the attempt failed.
    #[error("the transaction was rolled back: {0}")]
    RolledBack(#[source] BoxError),
    /// The store will never take this record.
    #[error("the store refuses the record: {0}")]
    Refused(#[source] BoxError),
}

impl StoreError {
    /// An outage, from a client's error or from words.
    pub fn unavailable(error: impl Into<BoxError>) -> Self {
        Self::Unavailable(error.into())
    }
}
