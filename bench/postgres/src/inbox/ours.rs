//! The store, through its contract.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use steadfast::store::{Answer, Claim, Digest, RecordId, Scope, Store as _, Token, Written};
use steadfast_postgres::{PostgresStore, PostgresTransaction, sqlx, testing::Scratch};

use super::{EFFECT, Inbox, Key, digest};

/// `PostgresStore` as the consumer loop uses it.
#[derive(Clone)]
pub(crate) struct Ours {
    store: PostgresStore,
    scope: Scope,
}

impl Ours {
    pub(crate) fn new(scratch: &Scratch) -> Result<Self> {
        let scope = Scope::new("bench.inbox", "bench", 1).map_err(anyhow::Error::msg)?;
        Ok(Self { store: scratch.store(), scope })
    }

    /// The record, and a claim on it.
    pub(crate) async fn claim(&self, key: Key) -> Result<(RecordId, Option<Token>)> {
        let day = Duration::from_secs(24 * 60 * 60);
        let key_of_record = steadfast::store::Key::new(key).context("a key has bytes")?;
        let id = RecordId::new(self.scope.clone(), key_of_record);
        let claim = Claim::new(id.clone(), Digest(digest(key)), Duration::from_secs(30), 7 * day);
        match self.store.claim(&claim).await? {
            Answer::Granted(grant) => Ok((id, Some(grant.token))),
            Answer::Done | Answer::Busy(_) => Ok((id, None)),
            other => bail!("no claim in this benchmark should be answered {other:?}"),
        }
    }

    pub(crate) async fn complete(&self, id: &RecordId, token: &Token) -> Result<()> {
        ensure!(self.store.complete(id, token).await? == Written::Applied, "a lease was lost");
        Ok(())
    }

    /// Removes expired records, at most so many.
    pub(crate) async fn reap(&self, limit: usize) -> Result<usize> {
        Ok(self.store.reap(limit).await?)
    }
}

impl Inbox for Ours {
    async fn message(&self, key: Key) -> Result<bool> {
        let (id, token) = self.claim(key).await?;
        if let Some(token) = token {
            self.complete(&id, &token).await?;
        }
        Ok(token.is_some())
    }

    async fn effect(&self, key: Key) -> Result<()> {
        let (id, token) = self.claim(key).await?;
        let token = token.context("a new key is granted")?;
        let mut lent = self.store.lend(&id, &token).context("the store lends")?;
        let ours = lent.as_any_mut().downcast_mut::<PostgresTransaction>();
        let transaction = ours.context("of its own kind")?.open().await?;
        sqlx::query(EFFECT).bind(key.as_slice()).execute(&mut **transaction).await?;
        ensure!(lent.complete().await? == Written::Applied, "a lease was lost");
        Ok(())
    }
}
