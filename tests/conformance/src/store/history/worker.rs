//! A worker of a history.

use steadfast::store::{Answer, Lent, Owner, RecordId, StoreError, Token, Written};

use super::call::{Reply, id, tick};
use crate::store::{Records, StoreHarness, Write};

/// Somebody with a message to work on, and what it knows.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) key: usize,
    pub(super) owner: Owner,
    /// Whether its message has another payload than most of that key.
    pub(super) odd: bool,
    pub(super) token: Option<Token>,
    /// Which life of the record its token is of: one that has expired begins another.
    pub(super) life: u32,
    /// How it ended its claim.
    pub(super) ended: Option<Write>,
}

/// What a worker does.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Claims, for so many ticks.
    Claim(u32),
    /// Writes with its token.
    Write(Write),
    /// Makes an effect in a lent transaction, and completes it.
    Commit,
    /// Makes an effect in a lent transaction, and rolls it back.
    RollBack,
    /// Makes an effect in a lent transaction, of which nothing more is heard.
    Abandon,
    /// Forgets everything.
    Crash,
}

impl Action {
    /// What a worker does next when the reply was lost.
    pub(super) fn after_no_reply(&self) -> Option<Self> {
        match self {
            Self::Claim(_) | Self::Write(_) => Some(self.clone()),
            // To complete again would record as done what may not have been committed: the worker
            // lets go, and the record will say to the next.
            Self::Commit => Some(Self::Crash),
            Self::RollBack | Self::Abandon | Self::Crash => None,
        }
    }
}

impl Worker {
    /// How long a record is kept, in ticks.
    pub(super) const RETENTION: u32 = 8;

    pub(super) async fn act<H: StoreHarness>(
        &self,
        action: &Action,
        records: &Records<'_, H>,
    ) -> Reply {
        let (store, id) = (&*records.store, id(records, self.key));
        match (action, &self.token) {
            (Action::Claim(lease), _) => self.claim(records, &id, *lease).await,
            (Action::Crash, _) => Reply::Nothing,
            (_, None) => panic!("a worker without a token can only claim"),
            (Action::Write(write), Some(token)) => write.make(store, &id, token).await.into(),
            (Action::Commit, Some(token)) => match self.borrow(records, &id, token).await {
                Some(lent) => lent.complete().await.into(),
                None => store.complete(&id, token).await.into(),
            },
            (Action::RollBack, Some(token)) => {
                if let Some(lent) = self.borrow(records, &id, token).await {
                    // A server that is slow to answer is closed instead.
                    match lent.roll_back().await {
                        Ok(()) | Err(StoreError::Unavailable(_)) => {}
                        Err(error) => panic!("it cannot be rolled back: {error}"),
                    }
                }
                Reply::Nothing
            }
            (Action::Abandon, Some(token)) => {
                drop(self.borrow(records, &id, token).await);
                Reply::Nothing
            }
        }
    }

    async fn claim<H: StoreHarness>(
        &self,
        records: &Records<'_, H>,
        id: &RecordId,
        lease: u32,
    ) -> Reply {
        let mut claim = match self.odd {
            false => records.claim_of(id),
            true => records.claim_of_another_payload(id),
        };
        claim.owner = self.owner;
        claim.lease = tick(records.harness) * lease;
        claim.retention = tick(records.harness) * Self::RETENTION;
        records.store.claim(&claim).await.map_or_else(Reply::Failed, Reply::Answer)
    }

    /// A transaction with an effect in it.
    async fn borrow<H: StoreHarness>(
        &self,
        records: &Records<'_, H>,
        id: &RecordId,
        token: &Token,
    ) -> Option<Box<dyn Lent>> {
        let mut lent = records.store.lend(id, token)?;
        records.harness.effect(&mut *lent, &self.effect(records)).await;
        Some(lent)
    }

    /// What it knows after a reply; `life` is the record's.
    pub(super) fn hear(&mut self, action: &Action, reply: &Reply, life: u32) {
        match (action, reply) {
            (Action::Claim(_), Reply::Answer(Answer::Granted(grant))) => {
                (self.token, self.life) = (Some(grant.token), life);
            }
            (Action::Write(Write::Extend(_)), _) => {}
            (Action::Write(end), Reply::Written(Written::Applied)) => {
                self.ended = Some(end.clone())
            }
            (Action::Commit, Reply::Written(Written::Applied)) => {
                self.ended = Some(Write::Complete);
            }
            _ => {}
        }
    }

    /// The same for all workers of one life of a record: between them they make it once at most.
    pub(super) fn effect<H: StoreHarness>(&self, records: &Records<'_, H>) -> String {
        format!("{}/{}/{}", records.scope.as_str(), self.key, self.life)
    }
}
