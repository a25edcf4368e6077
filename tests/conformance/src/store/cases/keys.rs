//! Which record is whose: keys are bytes of any length, scopes are walls.

use bytes::Bytes;
use steadfast::store::{Answer, Key, RecordId, Scope};

use crate::store::{Records, StoreHarness, Write};

pub async fn keys_of_every_length_have_records_of_their_own(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let keys = (1..=Key::MAX).map(|length| vec![b'k'; length]);
    have_records_of_their_own(&records, keys).await;
}

pub async fn long_keys_have_records_of_their_own(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let keys = [64, 65, 66, 1 << 20].map(|length| vec![b'k'; length]);
    have_records_of_their_own(&records, keys).await;
}

pub async fn keys_are_bytes_and_not_text(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let keys: [&[u8]; 16] = [
        b"\0",
        b"\0\0",
        b"a\0",
        b"a\0b",
        b"\xff",
        b"\xff\xfe",
        b"\xc3\x28",
        b"a",
        b"A",
        b"a ",
        b" a",
        b"a\n",
        b"'; --",
        b"%",
        b"\\x00",
        b"_",
    ];
    have_records_of_their_own(&records, keys.map(<[u8]>::to_vec)).await;
}

/// The same letter in two normal forms, and two letters that some collations take for one.
pub async fn letters_that_look_alike_are_not_alike(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let keys = ["\u{e9}", "e\u{301}", "e", "ss", "ß", "i", "ı", "I"];
    have_records_of_their_own(&records, keys.map(|key| key.as_bytes().to_vec())).await;
}

pub async fn scopes_do_not_hide_each_other(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let group = records.scope.as_str().split('/').nth(1).expect("a scope has three parts");
    let scopes = [
        Scope::new("orders", group, 0),
        Scope::new("orders", group, 1),
        Scope::new("orders.v2", group, 0),
        Scope::new("Orders", group, 0),
        Scope::new("orders", &format!("{group}.b"), 0),
        Scope::new(&"o".repeat(90), &format!("{group:_<90}"), u32::MAX),
    ];
    let ids = scopes.map(|scope| {
        let key = Key::new("the same key").expect("it is not empty");
        RecordId::new(scope.expect("these names are well-formed"), key)
    });
    are_records_of_their_own(&records, &ids).await;
}

/// Where scope and key are glued together, "1" and "1k" of two generations meet.
pub async fn scope_and_key_do_not_run_into_each_other(harness: &impl StoreHarness) {
    let records = Records::new(harness).await;
    let group = records.scope.as_str().split('/').nth(1).expect("a scope has three parts");
    let ids = [(1, "1k"), (11, "k"), (1, "/1k"), (1, "1/k")].map(|(generation, key)| {
        let scope = Scope::new("orders", group, generation).expect("these names are well-formed");
        RecordId::new(scope, Key::new(key).expect("it is not empty"))
    });
    are_records_of_their_own(&records, &ids).await;
}

async fn have_records_of_their_own(
    records: &Records<'_, impl StoreHarness>,
    keys: impl IntoIterator<Item = Vec<u8>>,
) {
    let ids: Vec<_> = keys.into_iter().map(|key| records.id(Bytes::from(key))).collect();
    are_records_of_their_own(records, &ids).await;
}

async fn are_records_of_their_own(records: &Records<'_, impl StoreHarness>, ids: &[RecordId]) {
    let mut tokens = Vec::new();
    for id in ids {
        let grant = records.granted(id).await;
        assert_eq!(grant.attempts, 1, "{:?} is fresh", id.key.as_bytes());
        tokens.push(grant.token);
    }
    // Each second one: what is done to one must not show at its neighbours.
    for (id, token) in ids.iter().zip(&tokens).step_by(2) {
        records.applied(&Write::Complete, id, token).await;
    }
    for (number, id) in ids.iter().enumerate() {
        let done = records.claim(id).await == Answer::Done;
        assert_eq!(done, number % 2 == 0, "{:?} in {}", id.key.as_bytes(), id.scope.as_str());
    }
}
