//! Where the dedup key of a message comes from.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::KeyField;
use crate::Delivery;

/// Where the dedup key of a message comes from. Two messages with the same key are one piece of
/// work; an empty or missing key sends the message to the dead letters.
pub enum DedupKey<M> {
    /// A header, such as the delivery id of a webhook.
    Header(String),
    /// The message id. Refused at start on a broker whose ids change when a message is copied or
    /// redriven.
    MessageId,
    /// The key by which the broker orders: right only where every message has one of its own.
    Key,
    /// Something in the decoded message; see [`DedupKey::of`].
    Function(Arc<KeyFn<M>>),
}

type KeyFn<M> = dyn Fn(&M) -> Bytes + Send + Sync;

impl<M> DedupKey<M> {
    /// A key from the decoded message. A panic in the function is a failure of the message (P11).
    ///
    /// ```
    /// struct Order {
    ///     id: String,
    /// }
    /// let key = steadfast::DedupKey::of(|order: &Order| order.id.clone());
    /// # let _ = key;
    /// ```
    pub fn of<K: Into<Bytes>>(key: impl Fn(&M) -> K + Send + Sync + 'static) -> Self {
        Self::Function(Arc::new(move |message| key(message).into()))
    }

    /// The key from a field of the decoded message, as it is displayed. `#[derive(Consumer)]` makes
    /// one of `dedup_key = "id"`.
    ///
    /// ```
    /// struct Order {
    ///     id: u64,
    /// }
    /// let key = steadfast::DedupKey::field(|order: &Order| &order.id);
    /// # let _ = key;
    /// ```
    pub fn field<F: KeyField + ?Sized>(field: impl Fn(&M) -> &F + Send + Sync + 'static) -> Self {
        Self::of(move |message| field(message).to_key())
    }

    /// The key from this header.
    pub fn header(name: impl Into<String>) -> Self {
        Self::Header(name.into())
    }
}

impl<M: 'static> DedupKey<M> {
    /// The raw key; `None` if it is missing or empty. `decoded` is the handler's message.
    pub(crate) fn extract(&self, delivery: &Delivery) -> Option<Bytes> {
        let raw = match self {
            Self::Header(name) => delivery.message.headers.first(name).cloned(),
            Self::MessageId => delivery.origin.message_id.clone().map(Bytes::from),
            Self::Key => delivery.message.key.clone(),
            Self::Function(key) => delivery.decoded.get().map(|message| key(message)),
        };
        raw.filter(|raw| !raw.is_empty())
    }
}

impl<M> Clone for DedupKey<M> {
    fn clone(&self) -> Self {
        match self {
            Self::Header(name) => Self::Header(name.clone()),
            Self::MessageId => Self::MessageId,
            Self::Key => Self::Key,
            Self::Function(key) => Self::Function(Arc::clone(key)),
        }
    }
}

impl<M> fmt::Debug for DedupKey<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header({name:?})"),
            Self::MessageId => f.write_str("message_id"),
            Self::Key => f.write_str("key"),
            Self::Function(_) => f.write_str("function"),
        }
    }
}
