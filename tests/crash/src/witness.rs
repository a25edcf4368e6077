//! The store, with somebody who looks on: tells what it answered and strikes at the points.

use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;
use steadfast::store::{
    Answer, Claim, Lent, Note, Record, RecordId, Store, StoreError, Token, Written,
};

use crate::{
    line::{Event, say},
    point::{Point, Points},
};

pub(crate) struct Witness<S> {
    pub(crate) store: Arc<S>,
    pub(crate) points: Arc<Points>,
}

fn key(id: &RecordId) -> String {
    String::from_utf8_lossy(id.key.as_bytes()).into_owned()
}

/// Tells how a write went, and passes its answer on. It goes on when its caller goes away, as the store's own
/// writes do, and is told all the same.
async fn told(
    event: Event,
    (id, token): (RecordId, Token),
    write: impl Future<Output = Result<Written, StoreError>> + Send + 'static,
) -> Result<Written, StoreError> {
    let writing = tokio::spawn(async move {
        let answer = write.await;
        match &answer {
            Ok(Written::Applied) => say(event, &key(&id), token.fence),
            Ok(Written::Fenced) => say(Event::Fenced, &key(&id), token.fence),
            Err(error) => eprintln!("{event:?} of {}: {error}", key(&id)),
        }
        answer
    });
    writing.await.unwrap_or_else(|error| Err(StoreError::unavailable(error)))
}

impl<S: Store> Witness<S> {
    async fn told<W>(
        &self,
        event: Event,
        id: &RecordId,
        token: &Token,
        write: impl FnOnce(Arc<S>, RecordId, Token) -> W,
    ) -> Result<Written, StoreError>
    where
        W: Future<Output = Result<Written, StoreError>> + Send + 'static,
    {
        let writing = write(Arc::clone(&self.store), id.clone(), *token);
        told(event, (id.clone(), *token), writing).await
    }
}

#[async_trait]
impl<S: Store> Store for Witness<S> {
    fn lends_transactions(&self) -> bool {
        self.store.lends_transactions()
    }

    fn is_durable(&self) -> bool {
        self.store.is_durable()
    }

    async fn claim(&self, claim: &Claim) -> Result<Answer, StoreError> {
        let answer = self.store.claim(claim).await?;
        if let Answer::Granted(grant) = &answer {
            let (key, fence) = (key(&claim.id), grant.token.fence);
            say(Event::Claimed, &key, fence);
            self.points.pass(Point::AfterClaim, &key, fence);
        }
        Ok(answer)
    }

    async fn extend(
        &self,
        id: &RecordId,
        token: &Token,
        lease: Duration,
    ) -> Result<Written, StoreError> {
        let answer = self.store.extend(id, token, lease).await?;
        if answer == Written::Fenced {
            say(Event::Fenced, &key(id), token.fence);
        }
        Ok(answer)
    }

    async fn complete(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        self.points.pass(Point::BeforeComplete, &key(id), token.fence);
        let complete = |store: Arc<S>, id, token| async move { store.complete(&id, &token).await };
        let answer = self.told(Event::Done, id, token, complete).await;
        self.points.pass(Point::AfterComplete, &key(id), token.fence);
        answer
    }

    async fn fail(
        &self,
        id: &RecordId,
        token: &Token,
        after: Duration,
        note: &Note,
    ) -> Result<Written, StoreError> {
        self.points.pass(Point::BeforeFail, &key(id), token.fence);
        let note = note.clone();
        let fail = move |store: Arc<S>, id, token| async move {
            store.fail(&id, &token, after, &note).await
        };
        let answer = self.told(Event::Failed, id, token, fail).await;
        self.points.pass(Point::AfterFail, &key(id), token.fence);
        answer
    }

    async fn release(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        let release = |store: Arc<S>, id, token| async move { store.release(&id, &token).await };
        self.told(Event::Released, id, token, release).await
    }

    async fn bury(&self, id: &RecordId, token: &Token, note: &Note) -> Result<Written, StoreError> {
        self.points.pass(Point::BeforeBury, &key(id), token.fence);
        let note = note.clone();
        let bury =
            move |store: Arc<S>, id, token| async move { store.bury(&id, &token, &note).await };
        let answer = self.told(Event::Dead, id, token, bury).await;
        self.points.pass(Point::AfterBury, &key(id), token.fence);
        answer
    }

    async fn rearm(&self, id: &RecordId, fence: Option<u64>) -> Result<Written, StoreError> {
        self.store.rearm(id, fence).await
    }

    async fn look(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.store.look(id).await
    }

    async fn reap(&self, limit: usize) -> Result<usize, StoreError> {
        self.store.reap(limit).await
    }

    fn lend(&self, id: &RecordId, token: &Token) -> Option<Box<dyn Lent>> {
        let lent = self.store.lend(id, token)?;
        let points = Arc::clone(&self.points);
        Some(Box::new(WitnessedLoan { lent, points, id: id.clone(), token: *token }))
    }
}

struct WitnessedLoan {
    lent: Box<dyn Lent>,
    points: Arc<Points>,
    id: RecordId,
    token: Token,
}

#[async_trait]
impl Lent for WitnessedLoan {
    async fn complete(self: Box<Self>) -> Result<Written, StoreError> {
        let Self { lent, points, id, token } = *self;
        points.pass(Point::BeforeComplete, &key(&id), token.fence);
        let about = (id.clone(), token);
        let answer = told(Event::Done, about, lent.complete()).await;
        points.pass(Point::AfterComplete, &key(&id), token.fence);
        answer
    }

    /// The handler asks for the store's own type.
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self.lent.as_any_mut()
    }

    async fn roll_back(self: Box<Self>) -> Result<(), StoreError> {
        self.lent.roll_back().await
    }
}
