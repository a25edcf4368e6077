//! How long a claim is held.

use steadfast::store::{Answer, Written};

use crate::store::{Records, StoreHarness, Write};

pub async fn a_lease_that_is_over_can_be_taken_over(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("abandoned");
    let first = records.granted(&id).await;
    records.outlive_the_lease().await;
    let second = records.granted(&id).await;
    assert_eq!(second.attempts, 2, "an attempt that vanished is counted");
    assert!(second.token.fence > first.token.fence);
    assert_ne!(second.token.owner, first.token.owner);
}

pub async fn an_extension_renews_the_lease(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (id, lease) = (records.id("renewed"), records.lease());
    let token = records.granted(&id).await.token;
    for _ in 0..3 {
        records.pass(lease / 2).await;
        records.applied(&Write::Extend(lease), &id, &token).await;
    }
    records.pass(lease / 2).await;
    assert!(matches!(records.claim(&id).await, Answer::Busy(_)));
    records.applied(&Write::Complete, &id, &token).await;
}

/// From now, not from the end of the lease: repeats must not add up.
pub async fn an_extension_counts_from_now(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (id, lease) = (records.id("from now"), records.lease());
    let token = records.granted(&id).await.token;
    for _ in 0..3 {
        records.applied(&Write::Extend(lease), &id, &token).await;
    }
    records.outlive_the_lease().await;
    assert_eq!(records.granted(&id).await.attempts, 2);
}

pub async fn an_extension_is_as_long_as_it_says(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (id, lease) = (records.id("longer"), records.lease());
    let token = records.granted(&id).await.token;
    records.applied(&Write::Extend(lease * 2), &id, &token).await;
    records.pass(lease * 3 / 2).await;
    assert!(matches!(records.claim(&id).await, Answer::Busy(_)));
    records.pass(lease / 2).await;
    assert_eq!(records.granted(&id).await.attempts, 2);
}

/// A pause that nobody used has done no harm.
pub async fn an_owner_whose_lease_is_over_may_still_extend_it(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let (id, lease) = (records.id("late, but first"), records.lease());
    let token = records.granted(&id).await.token;
    records.pass(lease * 2).await;
    records.applied(&Write::Extend(lease), &id, &token).await;
    assert!(matches!(records.claim(&id).await, Answer::Busy(_)));
    assert_eq!(records.record(&id).await.attempts, 1);
}

pub async fn an_owner_whose_lease_is_over_may_still_end_it(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let mut late = Vec::new();
    for end in Write::all(records.lease()).into_iter().take(4) {
        let id = records.id(format!("{end}, late, but first"));
        let token = records.granted(&id).await.token;
        late.push((id, token, end));
    }
    records.outlive_the_lease().await;
    for (id, token, end) in late {
        records.applied(&end, &id, &token).await;
        assert_eq!(records.record(&id).await.state, end.leads_to());
    }
}

/// The renewal of leases and the end of the attempt run side by side in the same process.
pub async fn an_extension_after_the_end_is_fenced_and_revives_nothing(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    for end in Write::all(records.lease()).iter().take(4) {
        let id = records.id(format!("{end}, then extended"));
        let token = records.ended(&id, end).await;
        let written = records.write(&Write::Extend(records.lease()), &id, &token).await;
        assert_eq!(written, Written::Fenced, "after {end}");
        assert_eq!(records.record(&id).await.state, end.leads_to());
    }
}
