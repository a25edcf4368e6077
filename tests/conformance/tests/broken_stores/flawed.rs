//! A store with one flaw.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use steadfast::{
    History,
    store::{
        Answer, Claim, Digest, Grant, Key, Lent, MemoryStore, Note, Owner, Record, RecordId, Scope,
        State, Store, StoreError, Token, Written,
    },
};

/// What is wrong with a store. Each is a mistake that real inboxes have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    AnswersBusyAsDone,
    AnswersDeadAsDone,
    CompletesForStaleOwners,
    CutsKeysShort,
    ExtendsNothing,
    ExtendsForStaleOwners,
    FailsForStaleOwners,
    FencesBeginAgain,
    ForgetsAttempts,
    ForgetsHistory,
    ForgetsOwners,
    ForgetsRetention,
    ForgetsWaits,
    LendsToStaleOwners,
    MixesScopes,
    ReapsWithoutLimit,
    RearmsForAnyFence,
    ReleasesAsFailures,
    SaysAppliedWhenFenced,
    SeesNoConflicts,
    TakesOverLiveLeases,
    TakesNoRepeats,
}

/// A [`MemoryStore`] with one flaw.
pub(crate) struct Flawed {
    store: MemoryStore,
    flaw: Flaw,
    known: Mutex<HashMap<RecordId, Known>>,
}

/// What the flaws need to remember of a record.
#[derive(Clone, Copy)]
struct Known {
    /// Its last claim.
    token: Token,
    /// What is taken off its fences.
    base: u64,
}

impl Flawed {
    pub(crate) fn new(store: MemoryStore, flaw: Flaw) -> Self {
        Self { store, flaw, known: Mutex::default() }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn known(&self) -> MutexGuard<'_, HashMap<RecordId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn base(&self, id: &RecordId) -> u64 {
        self.known().get(id).map_or(0, |known| known.base)
    }

    fn id(&self, id: &RecordId) -> RecordId {
        let mut id = id.clone();
        if self.has(Flaw::CutsKeysShort) {
            let key = &id.key.as_bytes()[..id.key.as_bytes().len().min(32)];
            id.key = Key::new(key).expect("it was not empty");
        }
        if self.has(Flaw::MixesScopes) {
            id.scope = Scope::new("every", "body", 0).expect("it is well-formed");
        }
        id
    }

    /// The token to write with: the right one, if the flaw is to ask for none.
    fn token(&self, id: &RecordId, token: &Token, careless: Option<Flaw>) -> Token {
        match self.known().get(id) {
            Some(known) if careless == Some(self.flaw) => known.token,
            Some(known) => Token::new(token.owner, token.fence + known.base),
            None => *token,
        }
    }

    fn granted(&self, id: &RecordId, fresh: bool, mut grant: Grant) -> Grant {
        let token = grant.token;
        let base = match self.has(Flaw::FencesBeginAgain) && fresh {
            true => token.fence - 1,
            false => self.base(id),
        };
        self.known().insert(id.clone(), Known { token, base });
        grant.token.fence -= base;
        if self.has(Flaw::ForgetsAttempts) && grant.history.last_error.is_some() {
            grant.attempts = 1;
        }
        if self.has(Flaw::ForgetsHistory) {
            grant.history = History::default();
        }
        grant
    }

    async fn written(
        &self,
        id: &RecordId,
        write: impl Future<Output = Result<Written, StoreError>>,
    ) -> Result<Written, StoreError> {
        let held = self.store.look(id).await?.is_some_and(|r| r.state == State::InProgress);
        let written = write.await?;
        Ok(match self.flaw {
            Flaw::SaysAppliedWhenFenced => Written::Applied,
            Flaw::TakesNoRepeats if !held => Written::Fenced,
            _ => written,
        })
    }
}

#[async_trait]
impl Store for Flawed {
    fn lends_transactions(&self) -> bool {
        true
    }

    async fn claim(&self, claim: &Claim) -> Result<Answer, StoreError> {
        let mut claim = claim.clone();
        claim.id = self.id(&claim.id);
        match self.flaw {
            Flaw::ForgetsOwners => claim.owner = Owner::random(),
            Flaw::ForgetsRetention => claim.retention = Duration::ZERO,
            Flaw::SeesNoConflicts => claim.digest = Digest([0; 32]),
            _ => {}
        }
        let fresh = self.store.look(&claim.id).await?.is_none();
        let mut answer = self.store.claim(&claim).await?;
        if self.has(Flaw::TakesOverLiveLeases) && matches!(answer, Answer::Busy(_)) {
            let token = self.known()[&claim.id].token;
            let _ = self.store.extend(&claim.id, &token, Duration::ZERO).await?;
            answer = self.store.claim(&claim).await?;
        }
        Ok(match answer {
            Answer::Granted(grant) => Answer::Granted(self.granted(&claim.id, fresh, grant)),
            Answer::Busy(_) if self.has(Flaw::AnswersBusyAsDone) => Answer::Done,
            Answer::Dead { .. } if self.has(Flaw::AnswersDeadAsDone) => Answer::Done,
            Answer::Dead { fence } => Answer::Dead { fence: fence - self.base(&claim.id) },
            answer => answer,
        })
    }

    async fn extend(
        &self,
        id: &RecordId,
        token: &Token,
        mut lease: Duration,
    ) -> Result<Written, StoreError> {
        let id = self.id(id);
        let token = self.token(&id, token, Some(Flaw::ExtendsForStaleOwners));
        if self.has(Flaw::ExtendsNothing) {
            lease = Duration::ZERO;
        }
        self.written(&id, self.store.extend(&id, &token, lease)).await
    }

    async fn complete(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        let id = self.id(id);
        let token = self.token(&id, token, Some(Flaw::CompletesForStaleOwners));
        self.written(&id, self.store.complete(&id, &token)).await
    }

    async fn fail(
        &self,
        id: &RecordId,
        token: &Token,
        mut after: Duration,
        note: &Note,
    ) -> Result<Written, StoreError> {
        let id = self.id(id);
        let token = self.token(&id, token, Some(Flaw::FailsForStaleOwners));
        if self.has(Flaw::ForgetsWaits) {
            after = Duration::ZERO;
        }
        self.written(&id, self.store.fail(&id, &token, after, note)).await
    }

    async fn release(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        if self.has(Flaw::ReleasesAsFailures) {
            return self.fail(id, token, Duration::ZERO, &Note::new("released")).await;
        }
        let id = self.id(id);
        let token = self.token(&id, token, None);
        self.written(&id, self.store.release(&id, &token)).await
    }

    async fn bury(&self, id: &RecordId, token: &Token, note: &Note) -> Result<Written, StoreError> {
        let id = self.id(id);
        let token = self.token(&id, token, None);
        self.written(&id, self.store.bury(&id, &token, note)).await
    }

    async fn rearm(&self, id: &RecordId, fence: Option<u64>) -> Result<Written, StoreError> {
        let id = self.id(id);
        let base = self.base(&id);
        let fence = fence.filter(|_| !self.has(Flaw::RearmsForAnyFence)).map(|fence| fence + base);
        self.store.rearm(&id, fence).await
    }

    async fn look(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        let id = self.id(id);
        let mut record = self.store.look(&id).await?;
        if let Some(record) = &mut record {
            record.fence -= self.base(&id);
        }
        Ok(record)
    }

    async fn reap(&self, limit: usize) -> Result<usize, StoreError> {
        let limit = if self.has(Flaw::ReapsWithoutLimit) { usize::MAX } else { limit };
        self.store.reap(limit).await
    }

    fn lend(&self, id: &RecordId, token: &Token) -> Option<Box<dyn Lent>> {
        let id = self.id(id);
        let token = self.token(&id, token, Some(Flaw::LendsToStaleOwners));
        self.store.lend(&id, &token)
    }
}
