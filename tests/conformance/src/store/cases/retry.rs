//! What a record remembers of attempts that failed or were given back.

use steadfast::{
    History,
    store::{Note, State},
};

use crate::store::{Records, StoreHarness, Write};

/// Forgetting them makes a message that kills the process come back for ever (P6).
pub async fn a_failure_keeps_its_attempt(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("counted");
    for attempts in 1..=3 {
        let grant = records.granted(&id).await;
        assert_eq!(grant.attempts, attempts);
        records.applied(&Write::fail(), &id, &grant.token).await;
    }
    let record = records.record(&id).await;
    assert_eq!((record.state, record.attempts), (State::Failed, 3));
}

pub async fn a_release_gives_its_attempt_back(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("given back");
    records.ended(&id, &Write::fail()).await;
    for _ in 0..3 {
        let grant = records.granted(&id).await;
        assert_eq!(grant.attempts, 2, "one failed, and this one");
        records.applied(&Write::Release, &id, &grant.token).await;
    }
    assert_eq!(records.record(&id).await.attempts, 1);
}

pub async fn a_first_attempt_may_be_given_back(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("given back at once");
    records.ended(&id, &Write::Release).await;
    assert_eq!(records.record(&id).await.attempts, 0);
    assert_eq!(records.granted(&id).await.attempts, 1);
}

/// Stopping is not failing (P9).
pub async fn a_release_leaves_nothing_in_the_history(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("no story");
    records.ended(&id, &Write::Release).await;
    assert_eq!(records.granted(&id).await.history, History::default());
}

pub async fn a_failure_is_told_to_the_next_attempt(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("told");
    fail_with(&records, "transient: first").await;
    let first = records.granted(&id).await;
    assert_eq!(first.history.last_error.as_deref(), Some("transient: first"));
    assert!(first.history.first_failed.is_some());
    assert_eq!(first.history.first_failed, first.history.last_failed);
}

pub async fn the_first_failure_and_the_last_are_both_remembered(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("told");
    fail_with(&records, "transient: first").await;
    let first = records.record(&id).await.history;
    fail_with(&records, "transient: second").await;
    let both = records.granted(&id).await.history;
    assert_eq!(both.first_failed, first.first_failed);
    assert!(both.last_failed >= both.first_failed);
    assert_eq!(both.last_error.as_deref(), Some("transient: second"));
}

/// Notes are bounded, not refused: the record must be written whatever the error says.
pub async fn a_failure_of_any_length_is_recorded(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("told");
    fail_with(&records, &"é".repeat(Note::MAX)).await;
    let error = records.record(&id).await.history.last_error.expect("an error is remembered");
    assert!(error.len() <= Note::MAX && error.starts_with("éééé"), "{} bytes", error.len());
}

/// Some databases take no NUL in text; the words around it must survive.
pub async fn a_failure_in_any_characters_is_recorded(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let id = records.id("told");
    fail_with(&records, "before\0after 'quoted' \\ \u{1b}[31m \u{1f980} \u{202e}").await;
    let error = records.record(&id).await.history.last_error.expect("an error is remembered");
    assert!(error.starts_with("before"), "{error:?}");
    assert!(error.ends_with("after 'quoted' \\ \u{1b}[31m \u{1f980} \u{202e}"), "{error:?}");
}

async fn fail_with(records: &Records<'_, impl StoreHarness>, error: &str) {
    let failure = Write::Fail { after: std::time::Duration::ZERO, note: Note::new(error) };
    records.ended(&records.id("told"), &failure).await;
}
