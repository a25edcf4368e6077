//! A store in memory, for tests, and for work whose duplicates come from this process alone.

use std::{
    any::Any,
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use dashmap::{DashMap, Entry};
use foldhash::quality::RandomState;
use tokio::time::Instant;

use super::{
    Answer, Claim, Digest, Grant, Lent, Note, Owner, Record, RecordId, State, Store, StoreError,
    Token, Written,
};
use crate::{
    clock::{from_now, later},
    delivery::History,
};

/// A [`Store`] in memory that obeys every rule of the contract. Clones share their records.
///
/// Its clock is tokio's, so it follows a paused one. Nothing outlives the process.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Inner>);

#[derive(Default)]
struct Inner {
    rows: DashMap<RecordId, Row, RandomState>,
    /// When ended rows expire, the next first, so that reaping costs what it removes. A row that has
    /// begun anew since, and will expire at another time, is told by its own.
    expiry: Mutex<BinaryHeap<Reverse<(Instant, RecordId)>>>,
    fence: AtomicU64,
}

struct Row {
    phase: Phase,
    fence: u64,
    owner: Owner,
    attempts: u32,
    redrives: u32,
    digest: Option<Digest>,
    retention: Duration,
    history: History,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    InProgress { until: Instant },
    Failed { not_before: Instant },
    Done { expires: Instant },
    Dead { expires: Instant },
}

impl Phase {
    fn state(self) -> State {
        match self {
            Self::InProgress { .. } => State::InProgress,
            Self::Failed { .. } => State::Failed,
            Self::Done { .. } => State::Done,
            Self::Dead { .. } => State::Dead,
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.0.rows.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.0.rows.is_empty()
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("records", &self.len()).finish()
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn lends_transactions(&self) -> bool {
        true
    }

    fn is_durable(&self) -> bool {
        false
    }

    async fn claim(&self, claim: &Claim) -> Result<Answer, StoreError> {
        let now = Instant::now();
        let until = later(now, claim.lease);
        let mut row = match self.0.rows.entry(claim.id.clone()) {
            Entry::Vacant(free) => {
                let row = free.insert(Row::new(claim, until, self.0.next_fence()));
                return Ok(Answer::Granted(row.grant()));
            }
            Entry::Occupied(row) => row.into_ref(),
        };
        let expired = matches!(row.phase, Phase::Done { expires } if expires <= now);
        if !expired && row.digest.is_some_and(|digest| digest != claim.digest) {
            return Ok(Answer::Conflict);
        }
        match row.phase {
            Phase::InProgress { .. } if row.owner == claim.owner => {
                row.phase = Phase::InProgress { until };
                return Ok(Answer::Granted(row.grant()));
            }
            Phase::InProgress { until } if until > now => return Ok(Answer::Busy(until - now)),
            Phase::Failed { not_before } if not_before > now => {
                return Ok(Answer::NotYet(not_before - now));
            }
            Phase::Done { expires } => {
                if expires > now {
                    return Ok(Answer::Done);
                }
                *row = Row::new(claim, until, self.0.next_fence());
                return Ok(Answer::Granted(row.grant()));
            }
            Phase::Dead { .. } => return Ok(Answer::Dead { fence: row.fence }),
            Phase::InProgress { .. } | Phase::Failed { .. } => {}
        }
        row.phase = Phase::InProgress { until };
        row.owner = claim.owner;
        row.fence = self.0.next_fence();
        row.attempts = row.attempts.saturating_add(1);
        row.digest = Some(claim.digest);
        row.retention = row.retention.max(claim.retention);
        Ok(Answer::Granted(row.grant()))
    }

    async fn extend(
        &self,
        id: &RecordId,
        token: &Token,
        lease: Duration,
    ) -> Result<Written, StoreError> {
        Ok(self.0.write(id, token, State::InProgress, |row| {
            row.phase = Phase::InProgress { until: from_now(lease) };
        }))
    }

    async fn complete(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        Ok(self.0.end(id, token, State::Done, |row, expires| {
            row.phase = Phase::Done { expires };
        }))
    }

    async fn fail(
        &self,
        id: &RecordId,
        token: &Token,
        after: Duration,
        note: &Note,
    ) -> Result<Written, StoreError> {
        Ok(self.0.write(id, token, State::Failed, |row| {
            row.phase = Phase::Failed { not_before: from_now(after) };
            row.remember(note);
        }))
    }

    async fn release(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        Ok(self.0.write(id, token, State::Failed, |row| {
            row.phase = Phase::Failed { not_before: Instant::now() };
            row.attempts = row.attempts.saturating_sub(1);
        }))
    }

    async fn bury(&self, id: &RecordId, token: &Token, note: &Note) -> Result<Written, StoreError> {
        Ok(self.0.end(id, token, State::Dead, |row, expires| {
            row.phase = Phase::Dead { expires };
            row.remember(note);
        }))
    }

    async fn rearm(&self, id: &RecordId, fence: Option<u64>) -> Result<Written, StoreError> {
        let Some(mut row) = self.0.rows.get_mut(id) else { return Ok(Written::Fenced) };
        let Phase::Dead { .. } = row.phase else { return Ok(Written::Fenced) };
        if fence.is_some_and(|fence| fence != row.fence) {
            return Ok(Written::Fenced);
        }
        row.phase = Phase::Failed { not_before: Instant::now() };
        row.attempts = 0;
        row.redrives += 1;
        row.digest = None;
        Ok(Written::Applied)
    }

    async fn look(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        Ok(self.0.rows.get(id).map(|row| {
            Record::new(
                row.phase.state(),
                row.fence,
                row.attempts,
                row.redrives,
                row.history.clone(),
            )
        }))
    }

    async fn reap(&self, limit: usize) -> Result<usize, StoreError> {
        let now = Instant::now();
        let mut removed = 0;
        while removed < limit
            && let Some((at, id)) = self.0.next_expired(now)
        {
            let expired = |_: &RecordId, row: &Row| {
                matches!(row.phase,
                Phase::Done { expires } | Phase::Dead { expires } if expires == at)
            };
            removed += usize::from(self.0.rows.remove_if(&id, expired).is_some());
        }
        Ok(removed)
    }

    fn lend(&self, id: &RecordId, token: &Token) -> Option<Box<dyn Lent>> {
        Some(Box::new(MemoryTransaction {
            store: self.0.clone(),
            id: id.clone(),
            token: *token,
            effects: Vec::new(),
        }))
    }
}

/// The transaction that a [`MemoryStore`] lends: effects that happen when, and only when, the
/// record is completed.
pub struct MemoryTransaction {
    store: Arc<Inner>,
    id: RecordId,
    token: Token,
    effects: Vec<Effect>,
}

type Effect = Box<dyn FnOnce() + Send>;

impl MemoryTransaction {
    /// Adds an effect. It runs under the record's lock, so it must be short and must not use the
    /// store.
    pub fn effect(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.effects.push(Box::new(effect));
    }
}

#[async_trait]
impl Lent for MemoryTransaction {
    async fn complete(self: Box<Self>) -> Result<Written, StoreError> {
        let Self { store, id, token, effects } = *self;
        // An earlier completion by this token does not speak for these effects.
        let mut written = Written::Fenced;
        let _ = store.end(&id, &token, State::Done, |row, expires| {
            for effect in effects {
                effect();
            }
            row.phase = Phase::Done { expires };
            written = Written::Applied;
        });
        Ok(written)
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    async fn roll_back(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Inner {
    fn next_fence(&self) -> u64 {
        self.fence.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Makes a change that leads to this state, if the token holds the row. A repeat of a change
    /// that was made is recognised by its token.
    fn write(
        &self,
        id: &RecordId,
        token: &Token,
        to: State,
        change: impl FnOnce(&mut Row),
    ) -> Written {
        match self.rows.get_mut(id) {
            Some(mut row) if row.is_held_by(token) => {
                change(&mut row);
                Written::Applied
            }
            Some(row) if row.token() == *token && row.phase.state() == to => Written::Applied,
            _ => Written::Fenced,
        }
    }

    /// As `write`; the row expires after its retention.
    fn end(
        &self,
        id: &RecordId,
        token: &Token,
        to: State,
        end: impl FnOnce(&mut Row, Instant),
    ) -> Written {
        self.write(id, token, to, |row| {
            let expires = from_now(row.retention);
            end(row, expires);
            let mut expiry = self.expiry.lock().unwrap_or_else(PoisonError::into_inner);
            expiry.push(Reverse((expires, id.clone())));
        })
    }

    fn next_expired(&self, now: Instant) -> Option<(Instant, RecordId)> {
        let mut expiry = self.expiry.lock().unwrap_or_else(PoisonError::into_inner);
        let Reverse((at, _)) = expiry.peek()?;
        if *at > now {
            return None;
        }
        expiry.pop().map(|Reverse(next)| next)
    }
}

impl Row {
    fn new(claim: &Claim, until: Instant, fence: u64) -> Self {
        Self {
            phase: Phase::InProgress { until },
            fence,
            owner: claim.owner,
            attempts: 1,
            redrives: 0,
            digest: Some(claim.digest),
            retention: claim.retention,
            history: History::default(),
        }
    }

    fn token(&self) -> Token {
        Token::new(self.owner, self.fence)
    }

    fn grant(&self) -> Grant {
        Grant::new(self.token(), self.attempts, self.history.clone())
    }

    fn is_held_by(&self, token: &Token) -> bool {
        matches!(self.phase, Phase::InProgress { .. }) && self.owner == token.owner
    }

    fn remember(&mut self, note: &Note) {
        let now = Some(SystemTime::now());
        self.history.first_failed = self.history.first_failed.or(now);
        self.history.last_failed = now;
        self.history.last_error = Some(note.error.clone());
    }
}
