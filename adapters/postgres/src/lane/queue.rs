//! What waits for a lane.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use steadfast::store::RecordId;
use tokio::sync::Notify;

use super::{claims, wire::Row as _, writes};

/// Most rows in a statement. Larger groups gain nothing and make everybody in them wait.
const MOST: usize = 512;

/// So many rows are worth a statement of their own, however many are under way.
const ENOUGH: usize = 48;

pub(super) enum Call {
    Claim(claims::Asked),
    Write(writes::Asked),
}

/// Calls of one kind, of different records.
pub(super) enum Rows {
    Claims(Vec<claims::Asked>),
    Writes(Vec<writes::Asked>),
}

/// Calls by arrival. Those of one record are made one after the other.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    work: Notify,
}

struct Waiting {
    /// For each record that is ready or under way, what comes after that.
    behind: HashMap<RecordId, VecDeque<Call>>,
    claims: Kind<claims::Asked>,
    writes: Kind<writes::Asked>,
    lanes: usize,
    closed: bool,
}

/// The calls of a kind.
struct Kind<T> {
    ready: VecDeque<T>,
    /// How many are in statements now.
    under_way: usize,
}

impl<T> Kind<T> {
    fn new() -> Self {
        Self { ready: VecDeque::new(), under_way: 0 }
    }

    /// Whether what is ready is worth a statement. Under load it is not while many more are under way:
    /// the end of these is waited for, and what has come by then goes together.
    fn is_due(&self) -> bool {
        !self.ready.is_empty() && self.ready.len() >= (self.under_way / 4).min(ENOUGH)
    }

    fn take(&mut self) -> Vec<T> {
        let rows: Vec<_> = self.ready.drain(..self.ready.len().min(MOST)).collect();
        self.under_way += rows.len();
        rows
    }
}

impl Queue {
    pub(super) fn new(lanes: usize) -> Self {
        let waiting = Waiting {
            behind: HashMap::new(),
            claims: Kind::new(),
            writes: Kind::new(),
            lanes,
            closed: false,
        };
        Self { waiting: Mutex::new(waiting), work: Notify::new() }
    }

    pub(super) fn put(&self, call: Call) {
        self.add(call, join);
    }

    /// Puts a call before all others of its record that have not begun.
    pub(super) fn put_first(&self, call: Call) {
        self.add(call, VecDeque::push_front);
    }

    fn add(&self, call: Call, to: impl FnOnce(&mut VecDeque<Call>, Call)) {
        let mut waiting = self.lock();
        match waiting.behind.entry(call.id().clone()) {
            Entry::Occupied(behind) => to(behind.into_mut(), call),
            Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                waiting.put(call, VecDeque::push_back, VecDeque::push_back);
            }
        }
        self.wake(&waiting);
    }

    /// What is to be sent next, and what must be dropped after it was; none when nothing will come any
    /// more.
    pub(super) async fn next(self: &Arc<Self>) -> Option<(Rows, UnderWay)> {
        loop {
            let work = self.work.notified();
            {
                let mut waiting = self.lock();
                if let Some(rows) = waiting.take() {
                    self.wake(&waiting);
                    let (ids, of_claims) = rows.ids();
                    return Some((rows, UnderWay { queue: Arc::clone(self), ids, of_claims }));
                }
                if waiting.closed && waiting.behind.is_empty() {
                    return None;
                }
            }
            work.await;
        }
    }

    /// Nobody will call any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_waiters();
    }

    /// With the last lane end the hopes of those who wait.
    pub(super) fn lane_ended(&self) {
        let mut waiting = self.lock();
        waiting.lanes -= 1;
        if waiting.lanes == 0 {
            waiting.forget();
        }
    }

    fn end(&self, ids: &[RecordId], of_claims: bool) {
        let mut waiting = self.lock();
        if of_claims {
            waiting.claims.under_way -= ids.len();
        } else {
            waiting.writes.under_way -= ids.len();
        }
        for id in ids {
            match waiting.behind.get_mut(id).map(VecDeque::pop_front) {
                Some(Some(next)) => {
                    waiting.put(next, VecDeque::push_front, VecDeque::push_front);
                }
                _ => drop(waiting.behind.remove(id)),
            }
        }
        self.wake(&waiting);
        if waiting.closed && waiting.behind.is_empty() {
            self.work.notify_waiters();
        }
    }

    fn wake(&self, waiting: &Waiting) {
        if waiting.claims.is_due() || waiting.writes.is_due() {
            // In turns, so that no lane's connection is left alone until a firewall forgets it.
            self.work.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn put(
        &mut self,
        call: Call,
        claims: impl FnOnce(&mut VecDeque<claims::Asked>, claims::Asked),
        writes: impl FnOnce(&mut VecDeque<writes::Asked>, writes::Asked),
    ) {
        match call {
            Call::Claim(claim) => claims(&mut self.claims.ready, claim),
            Call::Write(write) => writes(&mut self.writes.ready, write),
        }
        if self.lanes == 0 {
            self.forget();
        }
    }

    /// Writes first: leases are renewed and records ended before new work begins.
    fn take(&mut self) -> Option<Rows> {
        if self.writes.is_due() {
            return Some(Rows::Writes(self.writes.take()));
        }
        self.claims.is_due().then(|| Rows::Claims(self.claims.take()))
    }

    fn forget(&mut self) {
        self.claims.ready.clear();
        self.writes.ready.clear();
        self.behind.clear();
    }
}

/// A claim joins one of the same payload that is the last in the line.
fn join(behind: &mut VecDeque<Call>, call: Call) {
    let left = match (behind.back_mut(), call) {
        (Some(Call::Claim(last)), Call::Claim(claim)) => last.join(claim).map(Call::Claim),
        (_, call) => Some(call),
    };
    behind.extend(left);
}

impl Call {
    fn id(&self) -> &RecordId {
        match self {
            Self::Claim(claim) => claim.id(),
            Self::Write(write) => write.id(),
        }
    }
}

impl Rows {
    fn ids(&self) -> (Vec<RecordId>, bool) {
        match self {
            Self::Claims(rows) => (rows.iter().map(|row| row.id().clone()).collect(), true),
            Self::Writes(rows) => (rows.iter().map(|row| row.id().clone()).collect(), false),
        }
    }
}

/// Its records are under way until this is dropped.
pub(super) struct UnderWay {
    queue: Arc<Queue>,
    ids: Vec<RecordId>,
    of_claims: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.queue.end(&self.ids, self.of_claims);
    }
}
