//! Looking at records, for tools and tests.

use steadfast::store::{Answer, State};

use crate::store::{Records, StoreHarness, Write};

pub async fn an_absent_record_is_not_found(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    assert_eq!(records.look(&records.id("absent")).await, None);
}

pub async fn a_record_is_seen_in_each_state(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    for write in Write::all(records.lease()) {
        let id = records.id(format!("after {write}"));
        let token = records.ended(&id, &write).await;
        let record = records.record(&id).await;
        let attempts = u32::from(write != Write::Release);
        assert_eq!((record.state, record.attempts), (write.leads_to(), attempts), "after {write}");
        assert_eq!((record.fence, record.redrives), (token.fence, 0), "after {write}");
    }
}

pub async fn looking_is_not_claiming(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("looked at");
    let token = records.granted(&id).await.token;
    records.outlive_the_lease().await;
    let record = records.record(&id).await;
    assert_eq!(record.state, State::InProgress, "an owner that may have died is still the owner");
    assert_eq!(records.record(&id).await, record);
    records.applied(&Write::Complete, &id, &token).await;
    assert_eq!(records.claim(&id).await, Answer::Done);
}
