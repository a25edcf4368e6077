//! A shared store is a store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Answer, Claim, Lent, Note, Record, RecordId, Store, StoreError, Token, Written};

#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    fn lends_transactions(&self) -> bool {
        (**self).lends_transactions()
    }

    fn is_durable(&self) -> bool {
        (**self).is_durable()
    }

    async fn claim(&self, claim: &Claim) -> Result<Answer, StoreError> {
        (**self).claim(claim).await
    }

    async fn extend(
        &self,
        id: &RecordId,
        token: &Token,
        lease: Duration,
    ) -> Result<Written, StoreError> {
        (**self).extend(id, token, lease).await
    }

    async fn complete(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        (**self).complete(id, token).await
    }

    async fn fail(
        &self,
        id: &RecordId,
        token: &Token,
        after: Duration,
        note: &Note,
    ) -> Result<Written, StoreError> {
        (**self).fail(id, token, after, note).await
    }

    async fn release(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        (**self).release(id, token).await
    }

    async fn bury(&self, id: &RecordId, token: &Token, note: &Note) -> Result<Written, StoreError> {
        (**self).bury(id, token, note).await
    }

    async fn rearm(&self, id: &RecordId, fence: Option<u64>) -> Result<Written, StoreError> {
        (**self).rearm(id, fence).await
    }

    async fn look(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        (**self).look(id).await
    }

    async fn reap(&self, limit: usize) -> Result<usize, StoreError> {
        (**self).reap(limit).await
    }

    fn lend(&self, id: &RecordId, token: &Token) -> Option<Box<dyn Lent>> {
        (**self).lend(id, token)
    }
}
