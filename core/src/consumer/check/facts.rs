//! What the rules look at.

use std::sync::Arc;

use super::super::policy::Policy;
use crate::{DedupKey, broker::Capabilities, store::Store};

/// What the builder knows of a consumer.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) policy: Arc<Policy>,
    pub(crate) store: Option<StoreFacts>,
    pub(crate) dedup_by: Option<DedupBy>,
    /// Whether dead letters go to another broker than the one that is consumed.
    pub(crate) dead_letters_elsewhere: bool,
}

/// What is seen of the broker at start. A refusal is in the broker's words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) source: Result<&'a Capabilities, &'a str>,
    pub(crate) destination: Result<(), &'a str>,
}

/// What a store can do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreFacts {
    pub(crate) lends_transactions: bool,
    pub(crate) is_durable: bool,
}

/// Where the dedup key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DedupBy {
    Header(String),
    MessageId,
    Key,
    Function,
}

impl Facts {
    pub(crate) fn dedup_by_message_id(&self) -> bool {
        self.dedup_by == Some(DedupBy::MessageId)
    }

    pub(super) fn acknowledges(&self, rule: &str) -> bool {
        self.policy.acknowledged.iter().any(|name| name == rule)
    }
}

impl<'a> Seen<'a> {
    /// A source, and a destination with which nothing is wrong.
    pub(crate) fn of(source: &'a Capabilities) -> Self {
        Self { source: Ok(source), destination: Ok(()) }
    }
}

impl From<&dyn Store> for StoreFacts {
    fn from(store: &dyn Store) -> Self {
        Self { lends_transactions: store.lends_transactions(), is_durable: store.is_durable() }
    }
}

impl<M> From<&DedupKey<M>> for DedupBy {
    fn from(key: &DedupKey<M>) -> Self {
        match key {
            DedupKey::Header(name) => Self::Header(name.clone()),
            DedupKey::MessageId => Self::MessageId,
            DedupKey::Key => Self::Key,
            DedupKey::Function(_) => Self::Function,
        }
    }
}
