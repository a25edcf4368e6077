//! The harness of the store in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use steadfast::store::{Lent, MemoryStore, MemoryTransaction, Store};

use super::StoreHarness;

/// Runs the suite on a [`MemoryStore`], or on a store of yours that wraps one. Needs tokio's clock
/// to be paused.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// use steadfast_conformance::store::{MemoryHarness, history};
/// history::check(&MemoryHarness::new(), 1, 200).await;
/// # });
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct MemoryHarness {
    wrap: Arc<dyn Fn(MemoryStore) -> Arc<dyn Store> + Send + Sync>,
    effects: Arc<Mutex<HashMap<String, usize>>>,
}

impl MemoryHarness {
    /// Runs the suite on plain stores.
    pub fn new() -> Self {
        Self::wrapping(|store| Arc::new(store))
    }

    /// Runs the suite on what becomes of a plain store in your hands.
    pub fn wrapping(wrap: impl Fn(MemoryStore) -> Arc<dyn Store> + Send + Sync + 'static) -> Self {
        Self { wrap: Arc::new(wrap), effects: Arc::default() }
    }
}

impl Default for MemoryHarness {
    fn default() -> Self {
        Self::new()
    }
}

impl StoreHarness for MemoryHarness {
    async fn store(&self) -> Arc<dyn Store> {
        (self.wrap)(MemoryStore::new())
    }

    async fn pass(&self, time: Duration) {
        tokio::time::advance(time).await;
    }

    async fn effect(&self, lent: &mut dyn Lent, name: &str) {
        let lent = lent.as_any_mut();
        let transaction = lent
            .downcast_mut::<MemoryTransaction>()
            .expect("a store around a MemoryStore lends that one's transactions");
        let (effects, name) = (Arc::clone(&self.effects), name.to_owned());
        transaction.effect(move || *lock(&effects).entry(name).or_default() += 1);
    }

    async fn effects(&self, name: &str) -> usize {
        lock(&self.effects).get(name).copied().unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
