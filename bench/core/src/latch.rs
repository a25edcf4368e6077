//! Waits until so many have come.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// Counts down; both stacks use it, so it costs both the same.
#[derive(Clone, Debug)]
pub(crate) struct Latch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    left: AtomicUsize,
    open: Notify,
}

impl Latch {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Inner { left: AtomicUsize::new(count), open: Notify::new() }))
    }

    pub(crate) fn arrived(&self, count: usize) {
        if self.0.left.fetch_sub(count, Ordering::Relaxed) == count {
            self.0.open.notify_one();
        }
    }

    pub(crate) async fn opened(&self) {
        while self.0.left.load(Ordering::Acquire) > 0 {
            self.0.open.notified().await;
        }
    }
}
