//! The records of one case.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use steadfast::store::{
    Answer, Claim, Digest, Grant, Key, Record, RecordId, Scope, Store, Token, Written,
};

use super::{StoreHarness, Write};

/// The records of one case: a scope of its own in a store of the harness, and the calls of a store
/// as a case makes them. An error of the store fails the case.
pub(crate) struct Records<'h, H> {
    pub(crate) harness: &'h H,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) scope: Scope,
}

impl<'h, H: StoreHarness> Records<'h, H> {
    pub(crate) async fn new(harness: &'h H) -> Self {
        let group = format!("{:016x}", rand::random::<u64>());
        let scope = Scope::new("conformance", &group, 0).expect("a name and hex digits");
        Self { harness, store: harness.store().await, scope }
    }

    pub(crate) fn id(&self, key: impl AsRef<[u8]>) -> RecordId {
        RecordId::new(self.scope.clone(), Key::new(key).expect("keys of cases are not empty"))
    }

    /// A newcomer's claim, of the usual payload, with a retention that no case outlives.
    pub(crate) fn claim_of(&self, id: &RecordId) -> Claim {
        let retention = Duration::from_secs(7 * 24 * 3600);
        Claim::new(id.clone(), payload("the usual"), self.lease(), retention)
    }

    /// The same, of another payload.
    pub(crate) fn claim_of_another_payload(&self, id: &RecordId) -> Claim {
        let mut claim = self.claim_of(id);
        claim.digest = payload("another");
        claim
    }

    pub(crate) async fn ask(&self, claim: &Claim) -> Answer {
        self.store.claim(claim).await.expect("the store answers a claim")
    }

    /// What a newcomer is answered.
    pub(crate) async fn claim(&self, id: &RecordId) -> Answer {
        self.ask(&self.claim_of(id)).await
    }

    /// A newcomer's grant.
    pub(crate) async fn granted(&self, id: &RecordId) -> Grant {
        granted(self.claim(id).await)
    }

    pub(crate) async fn write(&self, write: &Write, id: &RecordId, token: &Token) -> Written {
        write.make(&*self.store, id, token).await.expect("the store takes a write")
    }

    /// Makes a write that must be applied.
    pub(crate) async fn applied(&self, write: &Write, id: &RecordId, token: &Token) {
        let written = self.write(write, id, token).await;
        assert_eq!(written, Written::Applied, "the owner may {write}");
    }

    /// Claims as a newcomer and ends it so; the token it was done with.
    pub(crate) async fn ended(&self, id: &RecordId, write: &Write) -> Token {
        let token = self.granted(id).await.token;
        self.applied(write, id, &token).await;
        token
    }

    pub(crate) async fn rearm(&self, id: &RecordId, fence: Option<u64>) -> Written {
        self.store.rearm(id, fence).await.expect("the store re-arms")
    }

    pub(crate) async fn look(&self, id: &RecordId) -> Option<Record> {
        self.store.look(id).await.expect("the store lets its records be looked at")
    }

    /// The record, which must be there.
    pub(crate) async fn record(&self, id: &RecordId) -> Record {
        self.look(id).await.expect("the record is there")
    }

    pub(crate) async fn reap(&self, limit: usize) -> usize {
        self.store.reap(limit).await.expect("the store reaps")
    }

    pub(crate) fn lease(&self) -> Duration {
        self.harness.lease()
    }

    pub(crate) async fn pass(&self, time: Duration) {
        self.harness.pass(time).await;
    }

    /// Lets a lease end that was taken or renewed just now.
    pub(crate) async fn outlive_the_lease(&self) {
        self.pass(self.lease()).await;
    }
}

/// The grant in an answer that must be one.
pub(crate) fn granted(answer: Answer) -> Grant {
    match answer {
        Answer::Granted(grant) => grant,
        other => panic!("the claim should be granted, and is answered {other:?}"),
    }
}

/// The digest of a payload.
pub(crate) fn payload(text: &'static str) -> Digest {
    Digest::of(Some(&Bytes::from_static(text.as_bytes())))
}
