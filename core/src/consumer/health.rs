//! Whether a consumer can work, and if not, why.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// A handle on the health of a consumer, for readiness probes. Clones see the same consumer.
///
/// A consumer that is not ready recovers by itself when what is down comes back; a consumer that
/// cannot is ended by `run()` with an error.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    /// Its name, for the log.
    consumer: Box<str>,
    /// What is down, and how many deliveries or tasks have found it so.
    outages: Mutex<Outages>,
    changed: Notify,
    bell: Arc<Notify>,
}

type Outages = BTreeMap<Cow<'static, str>, usize>;

/// The life of a consumer: when it ends, in whatever way, the consumer is not ready any more.
pub(crate) struct Life(pub(crate) Health);

impl Drop for Life {
    fn drop(&mut self) {
        std::mem::forget(self.0.pause("stopped"));
    }
}

/// Something was found down. Dropping it says that its finder no longer finds it so; what nobody
/// finds down is taken to be up, so no pause outlives those who could end it.
pub(crate) struct Outage {
    health: Health,
    what: Cow<'static, str>,
}

impl Health {
    pub(crate) fn new(consumer: &str, bell: Arc<Notify>) -> Self {
        let (consumer, changed) = (consumer.into(), Notify::new());
        Self(Arc::new(Inner { consumer, outages: Mutex::default(), changed, bell }))
    }

    /// Whether messages can be received and nothing that they need is known to be down.
    pub fn is_ready(&self) -> bool {
        self.0.outages().is_empty()
    }

    /// What is down: `broker`, `store`, `dead letters`, a dependency as the handler named it, `failure ratio`
    /// where one is inferred, `transaction` where lent ones are lost, or `stopped` when the consumer has ended.
    pub fn reasons(&self) -> Vec<String> {
        self.0.outages().keys().map(|what| what.to_string()).collect()
    }

    /// Waits until the consumer is ready. Cancel safe.
    pub async fn ready(&self) {
        self.wait_for(Outages::is_empty).await;
    }

    /// Waits until this is found down. Cancel safe.
    pub async fn down(&self, what: &str) {
        self.wait_for(|outages| outages.contains_key(what)).await;
    }

    /// Whether anything is down but for this.
    pub(crate) fn is_down_but_for(&self, dependency: Option<&str>) -> bool {
        is_down(&self.0.outages(), dependency)
    }

    /// Waits until nothing is down but for this, which may become another meanwhile. Cancel safe.
    pub(crate) async fn up_but_for(&self, dependency: impl Fn() -> Option<Cow<'static, str>>) {
        loop {
            let changed = self.0.changed.notified();
            let dependency = dependency();
            if !self.is_down_but_for(dependency.as_deref()) {
                return;
            }
            changed.await;
        }
    }

    async fn wait_for(&self, condition: impl Fn(&Outages) -> bool) {
        loop {
            let changed = self.0.changed.notified();
            if condition(&self.0.outages()) {
                return;
            }
            changed.await;
        }
    }

    /// Wakes those who wait for what they also judge by something else, which has changed.
    pub(crate) fn wake(&self) {
        self.0.tell();
    }

    pub(crate) fn outage(&self, what: impl Into<Cow<'static, str>>) -> Outage {
        self.outage_by(what, None)
    }

    /// The same, found by an error that an operator needs to see, once.
    pub(crate) fn outage_by(
        &self,
        what: impl Into<Cow<'static, str>>,
        error: Option<&dyn std::error::Error>,
    ) -> Outage {
        let what = what.into();
        if self.0.enter(what.clone()) {
            let error = error.map(tracing::field::display);
            tracing::warn!(consumer = &*self.0.consumer, %what, error, "not ready");
        }
        Outage { health: self.clone(), what }
    }

    /// The same for what is no surprise: before the start and after the end.
    pub(crate) fn pause(&self, what: &'static str) -> Outage {
        if self.0.enter(what.into()) {
            tracing::debug!(consumer = &*self.0.consumer, what, "not ready");
        }
        Outage { health: self.clone(), what: what.into() }
    }
}

impl Inner {
    /// Counts one more who finds this down. Whether it is the first.
    fn enter(&self, what: Cow<'static, str>) -> bool {
        let mut outages = self.outages();
        let finders = outages.entry(what).or_default();
        *finders += 1;
        let first = *finders == 1;
        drop(outages);
        if first {
            self.tell();
        }
        first
    }

    fn outages(&self) -> MutexGuard<'_, Outages> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.notify_waiters();
        self.bell.notify_one();
    }
}

fn is_down(outages: &Outages, dependency: Option<&str>) -> bool {
    outages.keys().any(|what| Some(&**what) != dependency)
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("reasons", &self.reasons()).finish()
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        let inner = &self.health.0;
        let mut outages = inner.outages();
        let Some(finders) = outages.get_mut(&self.what) else { return };
        *finders -= 1;
        if *finders > 0 {
            return;
        }
        outages.remove(&self.what);
        drop(outages);
        tracing::info!(consumer = &*inner.consumer, what = %self.what, "up again");
        inner.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_again_when_the_last_finder_is_gone() {
        let health = Health::new("test", Arc::default());
        let (first, second) = (health.outage("store"), health.outage("store"));
        drop(first);
        assert_eq!(health.reasons(), ["store"]);
        drop(second);
        health.ready().await;
        assert!(health.is_ready());
    }
}
