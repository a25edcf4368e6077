//! The calls of a history, and how they are made.

use std::time::Duration;

use steadfast::store::{Answer, RecordId, StoreError, Written};

use super::worker::{Action, Worker};
use crate::store::{Records, StoreHarness};

/// One call.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Work { worker: Worker, action: Action },
    Rearm { key: usize, fence: Option<u64>, under: &'static str },
    Reap,
    Pass { ticks: u32 },
}

/// What came back.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(Answer),
    Written(Written),
    Removed(usize),
    Nothing,
    Failed(StoreError),
}

impl Call {
    pub(super) fn key(&self) -> Option<usize> {
        match self {
            Self::Work { worker, .. } => Some(worker.key),
            Self::Rearm { key, .. } => Some(*key),
            Self::Reap | Self::Pass { .. } => None,
        }
    }

    pub(super) async fn make<H: StoreHarness>(&self, records: &Records<'_, H>) -> Reply {
        let store = &records.store;
        match self {
            Self::Work { worker, action } => worker.act(action, records).await,
            Self::Rearm { key, fence, .. } => store.rearm(&id(records, *key), *fence).await.into(),
            Self::Reap => store.reap(usize::MAX).await.map_or_else(Reply::Failed, Reply::Removed),
            Self::Pass { ticks } => {
                records.pass(tick(records.harness) * *ticks).await;
                Reply::Nothing
            }
        }
    }
}

impl From<Result<Written, StoreError>> for Reply {
    fn from(written: Result<Written, StoreError>) -> Self {
        written.map_or_else(Self::Failed, Self::Written)
    }
}

/// The record of this key.
pub(super) fn id<H: StoreHarness>(records: &Records<'_, H>, key: usize) -> RecordId {
    records.id(format!("key {key}"))
}

/// The smallest time of a history. All others are whole ticks, so that a real clock, which goes on
/// during the calls, gives the same answers as a paused one.
pub(super) fn tick(harness: &impl StoreHarness) -> Duration {
    harness.lease() / 4
}
