//! Renews the leases of all claims that are at work.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use slotmap::{DefaultKey, SlotMap};
use tokio::time::{Instant, MissedTickBehavior};

use crate::{
    Cancellation, Cancelled, RunError,
    clock::{from_now, later, period},
    consumer::in_time,
    store::{RecordId, Store, Token, Written},
};

/// The leases of one consumer. One task renews them all, so that a handler that keeps its own
/// worker busy does not lose its lease.
pub(crate) struct Leases {
    store: Arc<dyn Store>,
    length: Duration,
    cap: Duration,
    entries: Mutex<SlotMap<DefaultKey, Entry>>,
}

#[derive(Clone)]
struct Entry {
    id: RecordId,
    token: Token,
    cancellation: Cancellation,
    renew_at: Instant,
    cap_at: Option<Instant>,
}

/// One lease that is being renewed; dropping it ends that.
pub(crate) struct Lease {
    leases: Arc<Leases>,
    entry: DefaultKey,
}

impl Leases {
    /// Leases of this length, renewed until one claim has been held for `cap`.
    pub(crate) fn new(store: Arc<dyn Store>, length: Duration, cap: Duration) -> Arc<Self> {
        Arc::new(Self { store, length, cap, entries: Mutex::default() })
    }

    /// Renews the lease of this claim from now on. When it is lost, `cancellation` is tripped.
    pub(crate) fn keep(
        self: &Arc<Self>,
        id: RecordId,
        token: Token,
        cancellation: Cancellation,
    ) -> Lease {
        let now = Instant::now();
        let (renew_at, cap_at) = (later(now, self.length / 3), Some(later(now, self.cap)));
        let entry = Entry { id, token, cancellation, renew_at, cap_at };
        Lease { leases: Arc::clone(self), entry: self.entries().insert(entry) }
    }

    /// Runs for ever.
    pub(crate) async fn run(&self) -> RunError {
        let mut tick = tokio::time::interval(period(self.length / 6));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut renewals = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                _ = tick.tick() => {
                    renewals.extend(self.due().into_iter().map(|(key, entry)| self.renew(key, entry)));
                }
                Some(()) = renewals.next(), if !renewals.is_empty() => {}
            }
        }
    }

    /// Those whose time has come, a third of their length after the last renewal.
    fn due(&self) -> Vec<(DefaultKey, Entry)> {
        let now = Instant::now();
        let mut due = Vec::new();
        self.entries().retain(|key, entry| {
            if entry.cap_at.is_some_and(|cap| cap <= now) {
                entry.cancellation.trip(Cancelled::LeaseLost);
                return false;
            }
            if entry.renew_at <= now {
                entry.renew_at = from_now(self.length / 3);
                due.push((key, entry.clone()));
            }
            true
        });
        due
    }

    async fn renew(&self, key: DefaultKey, entry: Entry) {
        let renewed = in_time((*self.store).extend(&entry.id, &entry.token, self.length)).await;
        let mut entries = self.entries();
        match renewed {
            Ok(Written::Applied) => {}
            // The claim may have ended meanwhile by its owner's own hand: then it is not lost.
            Ok(Written::Fenced) => {
                if let Some(lost) = entries.remove(key) {
                    lost.cancellation.trip(Cancelled::LeaseLost);
                }
            }
            // While the store is down nobody else can claim either: ask again at the next tick.
            Err(_) => {
                if let Some(entry) = entries.get_mut(key) {
                    entry.renew_at = Instant::now();
                }
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, SlotMap<DefaultKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Lifts the cap: the attempt has ended, and what is left to do may wait for as long as an
    /// outage lasts.
    pub(crate) fn uncap(&self) {
        if let Some(entry) = self.leases.entries().get_mut(self.entry) {
            entry.cap_at = None;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.entries().remove(self.entry);
    }
}
