//! The deliveries that a consumer holds, and the bound on them (P14).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slotmap::{DefaultKey, SlotMap};
use tokio::{sync::Notify, time::Instant};

use super::session::Session;
use crate::{
    Cancellation, Cancelled, Delivery, Receipt,
    broker::{Demand, Hold},
    clock::from_now,
};

/// Everything received and not yet settled: at work, waiting, queued, being settled.
pub(crate) struct Flights {
    max_messages: usize,
    max_bytes: usize,
    table: Mutex<Table>,
    bell: Arc<Notify>,
    /// Wakes whoever drains.
    landed: Notify,
}

#[derive(Default)]
struct Table {
    bytes: usize,
    entries: SlotMap<DefaultKey, Entry>,
}

struct Entry {
    session: Arc<Session>,
    receipt: Receipt,
    cancellation: Cancellation,
    extend_at: Option<Instant>,
    /// While it is being settled, its hold is not extended: a broker would take one for the other.
    settling: bool,
}

/// A delivery under way through the consumer.
pub(crate) struct Flight {
    pub(crate) delivery: Delivery,
    pub(crate) permit: Permit,
}

/// Deliveries of one session whose hold is due for an extension.
pub(crate) type Due = (Arc<Session>, Vec<(Receipt, Cancellation)>);

/// A share of the bound, held until the delivery is settled or given up.
pub(crate) struct Permit {
    pub(crate) session: Arc<Session>,
    cancellation: Cancellation,
    flights: Arc<Flights>,
    entry: DefaultKey,
    bytes: usize,
}

impl Flights {
    pub(crate) fn new(max_messages: usize, max_bytes: usize, bell: Arc<Notify>) -> Arc<Self> {
        let table = Mutex::default();
        Arc::new(Self { max_messages, max_bytes, table, bell, landed: Notify::new() })
    }

    /// What more fits.
    pub(crate) fn demand(&self) -> Option<Demand> {
        let table = self.table();
        let messages = self.max_messages.saturating_sub(table.entries.len());
        let bytes = self.max_bytes.saturating_sub(table.bytes);
        (messages > 0 && bytes > 0).then(|| Demand::new(messages, bytes))
    }

    /// Takes a delivery into the bound.
    pub(crate) fn board(self: &Arc<Self>, delivery: &Delivery, session: &Arc<Session>) -> Permit {
        let bytes = delivery.message.size();
        let extend_at = match session.hold() {
            Hold::Extendable { each, .. } => Some(from_now(each / 3)),
            _ => None,
        };
        let mut table = self.table();
        table.bytes += bytes;
        let entry = table.entries.insert(Entry {
            session: Arc::clone(session),
            receipt: delivery.receipt,
            cancellation: delivery.cancellation().clone(),
            extend_at,
            settling: false,
        });
        drop(table);
        Permit {
            session: Arc::clone(session),
            cancellation: delivery.cancellation().clone(),
            flights: Arc::clone(self),
            entry,
            bytes,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table().entries.len()
    }

    /// Waits until none is left. Cancel safe.
    pub(crate) async fn empty(&self) {
        loop {
            let landed = self.landed.notified();
            if self.len() == 0 {
                return;
            }
            landed.await;
        }
    }

    /// Cancels all deliveries, or those of one session.
    pub(crate) fn cancel(&self, reason: Cancelled, session: Option<&Arc<Session>>) {
        for entry in self.table().entries.values() {
            if session.is_none_or(|session| Arc::ptr_eq(session, &entry.session)) {
                entry.cancellation.trip(reason);
            }
        }
    }

    /// The deliveries whose hold is due for an extension, by session; they are due again after a
    /// third of its length.
    pub(crate) fn due_for_extension(&self) -> Vec<Due> {
        let now = Instant::now();
        let mut due: Vec<Due> = Vec::new();
        for entry in self.table().entries.values_mut() {
            let Hold::Extendable { each, .. } = entry.session.hold() else { continue };
            if entry.settling || entry.extend_at.is_none_or(|at| at > now) {
                continue;
            }
            entry.extend_at = Some(from_now(each / 3));
            let one = (entry.receipt, entry.cancellation.clone());
            match due.iter_mut().find(|(session, _)| Arc::ptr_eq(session, &entry.session)) {
                Some((_, batch)) => batch.push(one),
                None => due.push((Arc::clone(&entry.session), vec![one])),
            }
        }
        due
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Whether so much of the hold is used up that a slow settlement could outlast the rest.
    pub(crate) fn is_wearing_off(&self) -> bool {
        let Hold::Extendable { each, .. } = self.session.hold() else { return false };
        let table = self.flights.table();
        let extend_at = table.entries.get(self.entry).and_then(|entry| entry.extend_at);
        extend_at.is_some_and(|at| at <= from_now(each / 6))
    }

    /// Says whether it is being settled. Nobody asks where no hold is extended.
    pub(crate) fn settling(&self, settling: bool) {
        let Hold::Extendable { .. } = self.session.hold() else { return };
        if let Some(entry) = self.flights.table().entries.get_mut(self.entry) {
            entry.settling = settling;
        }
    }

    /// Whether the broker has taken the delivery back, so that nothing is left to settle.
    pub(crate) fn is_taken_back(&self) -> bool {
        self.session.is_over() || self.cancellation.reason() == Some(Cancelled::Revoked)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut table = self.flights.table();
        table.entries.remove(self.entry);
        table.bytes -= self.bytes;
        let empty = table.entries.is_empty();
        drop(table);
        self.flights.bell.notify_one();
        if empty {
            self.flights.landed.notify_waiters();
        }
    }
}
