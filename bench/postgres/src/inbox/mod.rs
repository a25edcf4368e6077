//! The two inboxes that are compared.

mod by_hand;
mod ours;

use anyhow::Result;

pub(crate) use self::{by_hand::ByHand, ours::Ours};

/// A message's way through an inbox.
pub(crate) trait Inbox: Clone + Send + Sync + 'static {
    /// Claims a key, and completes it if it was granted; whether it was.
    fn message(&self, key: Key) -> impl Future<Output = Result<bool>> + Send;

    /// The same, with an effect in the transaction of the completion.
    fn effect(&self, key: Key) -> impl Future<Output = Result<()>> + Send;
}

/// A dedup key of random bytes, as identifiers of messages often are: each finds another page of an
/// index.
pub(crate) type Key = [u8; 16];

/// What the handler writes.
const EFFECT: &str = "insert into effects (key, cents) values ($1, 1)";

/// A digest of a payload: any bytes do.
fn digest(key: Key) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(&key);
    digest[16..].copy_from_slice(&key);
    digest
}
