//! Transactional means transactional (P4). A store that lends no transaction has nothing to prove.

use steadfast::store::{Answer, Lent, RecordId, State, Token, Written};

use crate::store::{Records, StoreHarness, Write};

pub async fn a_store_lends_what_it_says(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("lent");
    let token = records.granted(&id).await.token;
    let lent = records.store.lend(&id, &token);
    assert_eq!(lent.is_some(), records.store.lends_transactions());
}

pub async fn effects_and_completion_are_committed_together(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    let (id, token) = lender.claimed("together").await;
    let mut lent = lender.lend(&id, &token);
    lender.effect(&mut *lent, "first").await;
    lender.effect(&mut *lent, "second").await;
    lender.assert_effects("first", 0).await;
    assert_eq!(lender.records.record(&id).await.state, State::InProgress);

    assert_eq!(commit(lent).await, Written::Applied);
    lender.assert_effects("first", 1).await;
    lender.assert_effects("second", 1).await;
    assert_eq!(lender.records.claim(&id).await, Answer::Done);
}

pub async fn a_fenced_completion_rolls_its_effects_back(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    let (id, stale) = lender.claimed("taken over").await;
    let mut lent = lender.lend(&id, &stale);
    lender.effect(&mut *lent, "stale").await;
    lender.records.outlive_the_lease().await;
    let owner = lender.records.granted(&id).await.token;

    assert_eq!(commit(lent).await, Written::Fenced);
    lender.assert_effects("stale", 0).await;
    lender.records.applied(&Write::Complete, &id, &owner).await;
}

/// The pause came before the handler asked for its transaction.
pub async fn a_stale_owner_that_borrows_late_applies_nothing(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    let mut stale = Vec::new();
    for end in Write::all(harness.lease()) {
        let (id, token) = lender.claimed(&format!("to {end}")).await;
        stale.push((id, token, end));
    }
    lender.records.outlive_the_lease().await;
    for (id, token, end) in stale {
        lender.records.ended(&id, &end).await;
        let before = lender.records.record(&id).await;
        let mut lent = lender.lend(&id, &token);
        lender.effect(&mut *lent, "late").await;
        assert_eq!(commit(lent).await, Written::Fenced, "after {end} by the next");
        assert_eq!(lender.records.record(&id).await, before);
    }
    lender.assert_effects("late", 0).await;
}

pub async fn an_owner_whose_lease_is_over_may_still_commit(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    let (id, token) = lender.claimed("late, but first").await;
    let mut lent = lender.lend(&id, &token);
    lender.effect(&mut *lent, "late").await;
    lender.records.outlive_the_lease().await;
    assert_eq!(commit(lent).await, Written::Applied);
    lender.assert_effects("late", 1).await;
}

pub async fn a_transaction_rolled_back_leaves_the_claim_in_progress(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    let (id, token) = lender.claimed("rolled back").await;
    let mut lent = lender.lend(&id, &token);
    lender.effect(&mut *lent, "undone").await;
    let before = lender.records.record(&id).await;
    lent.roll_back().await.expect("the store is up");
    lender.assert_effects("undone", 0).await;
    assert_eq!(lender.records.record(&id).await, before);
    lender.records.applied(&Write::fail(), &id, &token).await;
}

/// What a crash between the effect and the commit leaves behind.
pub async fn a_transaction_that_is_dropped_applies_nothing(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    let (id, token) = lender.claimed("dropped").await;
    let mut lent = lender.lend(&id, &token);
    lender.effect(&mut *lent, "lost").await;
    drop(lent);
    lender.records.outlive_the_lease().await;
    assert_eq!(lender.records.granted(&id).await.attempts, 2);
    lender.assert_effects("lost", 0).await;
}

pub async fn a_second_attempt_commits_what_the_first_rolled_back(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    let (id, token) = lender.claimed("second attempt").await;
    let mut lent = lender.lend(&id, &token);
    lender.effect(&mut *lent, "once").await;
    lent.roll_back().await.expect("the store is up");
    lender.records.applied(&Write::fail(), &id, &token).await;

    let token = lender.records.granted(&id).await.token;
    let mut lent = lender.lend(&id, &token);
    lender.effect(&mut *lent, "once").await;
    assert_eq!(commit(lent).await, Written::Applied);
    lender.assert_effects("once", 1).await;
}

pub async fn a_transaction_without_effects_completes(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    let (id, token) = lender.claimed("nothing to do").await;
    assert_eq!(commit(lender.lend(&id, &token)).await, Written::Applied);
    assert_eq!(lender.records.claim(&id).await, Answer::Done);
}

/// The handler never asked for it, and the attempt ends by a write of its own.
pub async fn a_transaction_that_is_not_used_stands_in_no_ones_way(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    for end in Write::all(harness.lease()) {
        let (id, token) = lender.claimed(&format!("{end} beside it")).await;
        let lent = lender.lend(&id, &token);
        lender.records.applied(&end, &id, &token).await;
        lent.roll_back().await.expect("the store is up");
        assert_eq!(lender.records.record(&id).await.state, end.leads_to());
    }
}

/// Duplicates are answered; they do not wait for a handler's transaction.
pub async fn an_open_transaction_blocks_no_claim(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    let (id, token) = lender.claimed("open").await;
    let mut lent = lender.lend(&id, &token);
    lender.effect(&mut *lent, "open").await;
    assert!(matches!(lender.records.claim(&id).await, Answer::Busy(_)));
    lender.records.applied(&Write::Extend(harness.lease()), &id, &token).await;
    assert_eq!(commit(lent).await, Written::Applied);
}

/// Applied would say that these effects were committed, and they were not.
pub async fn a_second_transaction_of_a_completed_claim_is_fenced(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    let (id, token) = lender.claimed("twice").await;
    let mut first = lender.lend(&id, &token);
    lender.effect(&mut *first, "first").await;
    assert_eq!(commit(first).await, Written::Applied);
    let mut second = lender.lend(&id, &token);
    lender.effect(&mut *second, "second").await;
    assert_eq!(commit(second).await, Written::Fenced);
    lender.assert_effects("first", 1).await;
    lender.assert_effects("second", 0).await;
}

/// So whoever lost the reply to a commit can find out, without completing what was not committed.
pub async fn a_committed_record_shows_by_which_claim_it_was_done(harness: &impl StoreHarness) {
    let Some(lender) = Lender::new(harness).await else { return };
    let (id, token) = lender.claimed("reply lost").await;
    let mut lent = lender.lend(&id, &token);
    lender.effect(&mut *lent, "once").await;
    assert_eq!(commit(lent).await, Written::Applied);
    let record = lender.records.record(&id).await;
    assert_eq!((record.state, record.fence), (State::Done, token.fence));
    lender.records.applied(&Write::Complete, &id, &token).await;
    lender.assert_effects("once", 1).await;
}

/// The records of a case on a store that lends transactions.
struct Lender<'h, H> {
    records: Records<'h, H>,
}

impl<'h, H: StoreHarness> Lender<'h, H> {
    async fn new(harness: &'h H) -> Option<Self> {
        let records = Records::new(harness).await;
        records.store.lends_transactions().then_some(Self { records })
    }

    async fn claimed(&self, key: &str) -> (RecordId, Token) {
        let id = self.records.id(key);
        let token = self.records.granted(&id).await.token;
        (id, token)
    }

    fn lend(&self, id: &RecordId, token: &Token) -> Box<dyn Lent> {
        self.records.store.lend(id, token).expect("the store says that it lends transactions")
    }

    async fn effect(&self, lent: &mut dyn Lent, name: &str) {
        self.records.harness.effect(lent, &self.name(name)).await;
    }

    async fn assert_effects(&self, name: &str, expected: usize) {
        let found = self.records.harness.effects(&self.name(name)).await;
        assert_eq!(found, expected, "effects named {name}");
    }

    /// Names of effects are kept apart as scopes are.
    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.records.scope.as_str())
    }
}

async fn commit(lent: Box<dyn Lent>) -> Written {
    lent.complete().await.expect("the transaction can be committed")
}
