//! What waits for a lane.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use steadfast::store::RecordId;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{claims, wire::Row as _, writes};

/// Most rows in a statement. Larger groups gain nothing and make everybody in them wait.
const MOST: usize = 512;

/// So many rows are worth a statement of their own, however many are under way.
const ENOUGH: usize = 48;

/// A statement that takes longer is not waited for: its lane may be silent.
const SLOW: Duration = Duration::from_millis(100);

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
    /// Lanes that look again by themselves.
    timed: usize,
    closed: bool,
}

/// The calls of a kind.
struct Kind<T> {
    ready: VecDeque<T>,
    /// Statements under way: since when, and with how many rows.
    under_way: Vec<(Instant, usize)>,
}

impl<T> Kind<T> {
    fn new() -> Self {
        Self { ready: VecDeque::new(), under_way: Vec::new() }
    }

    /// Whether what is ready is worth a statement. Under load it is not while many more are under way:
    /// the end of these is waited for, and what has come by then goes together.
    fn is_due(&self) -> bool {
        !self.ready.is_empty() && self.ready.len() >= (self.rows_under_way() / 4).min(ENOUGH)
    }

    fn rows_under_way(&self) -> usize {
        self.quick().map(|(_, rows)| rows).sum()
    }

    fn quick(&self) -> impl Iterator<Item = &(Instant, usize)> {
        self.under_way.iter().filter(|(since, _)| since.elapsed() < SLOW)
    }

    /// When the next statement under way turns out to be slow, if something waits for its end.
    fn look_again(&self) -> Option<Instant> {
        let first = self.quick().map(|(since, _)| *since).min();
        first.filter(|_| !self.ready.is_empty()).map(|since| since + SLOW)
    }

    fn take(&mut self, now: Instant) -> Vec<T> {
        let rows: Vec<_> = self.ready.drain(..self.ready.len().min(MOST)).collect();
        self.under_way.push((now, rows.len()));
        rows
    }

    fn end(&mut self, statement: (Instant, usize)) {
        if let Some(index) = self.under_way.iter().position(|one| *one == statement) {
            self.under_way.swap_remove(index);
        }
    }
}

impl Queue {
    pub(super) fn new(lanes: usize) -> Self {
        let waiting = Waiting {
            behind: HashMap::new(),
            claims: Kind::new(),
            writes: Kind::new(),
            lanes,
            timed: 0,
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
        let mut timed = 0;
        loop {
            let work = self.work.notified();
            let look_again = {
                let mut waiting = self.lock();
                waiting.timed -= std::mem::take(&mut timed);
                let now = Instant::now();
                if let Some(rows) = waiting.take(now) {
                    self.wake(&waiting);
                    let (ids, of_claims) = rows.ids();
                    let queue = Arc::clone(self);
                    return Some((rows, UnderWay { queue, since: now, ids, of_claims }));
                }
                if waiting.closed && waiting.behind.is_empty() {
                    return None;
                }
                let look_again = waiting.look_again();
                timed = usize::from(look_again.is_some());
                waiting.timed += timed;
                look_again
            };
            match look_again {
                None => work.await,
                Some(at) => tokio::select! {
                    () = work => {}
                    () = sleep_until(at) => {}
                },
            }
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

    fn end(&self, since: Instant, ids: &[RecordId], of_claims: bool) {
        let mut waiting = self.lock();
        if of_claims {
            waiting.claims.end((since, ids.len()));
        } else {
            waiting.writes.end((since, ids.len()));
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
        let waits_unwatched = waiting.timed == 0 && waiting.look_again().is_some();
        if waiting.claims.is_due() || waiting.writes.is_due() || waits_unwatched {
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
    fn take(&mut self, now: Instant) -> Option<Rows> {
        if self.writes.is_due() {
            return Some(Rows::Writes(self.writes.take(now)));
        }
        self.claims.is_due().then(|| Rows::Claims(self.claims.take(now)))
    }

    fn look_again(&self) -> Option<Instant> {
        self.writes.look_again().into_iter().chain(self.claims.look_again()).min()
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
    since: Instant,
    ids: Vec<RecordId>,
    of_claims: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.queue.end(self.since, &self.ids, self.of_claims);
    }
}

#[cfg(test)]
mod tests {
    use steadfast::store::{Key, Owner, Scope, Token};

    use super::*;
    use crate::lane::{Ending, Write};

    fn write(key: usize) -> Call {
        let scope = Scope::new("test", "test", 0).expect("a scope");
        let id = RecordId::new(scope, Key::new(key.to_string()).expect("a key"));
        let token = Token::new(Owner::random(), 1);
        Call::Write(writes::Asked::new(Write { id, token, ending: Ending::Complete }, None))
    }

    fn rows(next: Option<(Rows, UnderWay)>) -> (usize, UnderWay) {
        match next {
            Some((Rows::Writes(rows), under_way)) => (rows.len(), under_way),
            _ => panic!("writes were asked for"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_waits_for_statements_that_are_quick_and_not_for_silent_ones() {
        let queue = Arc::new(Queue::new(2));
        (0..200).for_each(|key| queue.put(write(key)));
        let (sent, silent) = rows(queue.next().await);
        assert_eq!(sent, 200);
        // The other lane is idle when it comes.
        let idle = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { rows(queue.next().await) }
        });
        tokio::task::yield_now().await;
        let began = Instant::now();
        queue.put(write(200));
        let (sent, quick) = idle.await.expect("rows");
        assert_eq!((sent, began.elapsed()), (1, SLOW));
        drop(quick);
        drop(silent);
        // A quick one is waited for: what has come by its end goes together.
        (0..200).for_each(|key| queue.put(write(key)));
        let (_, quick) = rows(queue.next().await);
        (200..210).for_each(|key| queue.put(write(key)));
        let next = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { rows(queue.next().await).0 }
        });
        tokio::task::yield_now().await;
        assert!(!next.is_finished());
        let ended = Instant::now();
        drop(quick);
        assert_eq!((next.await.expect("rows"), ended.elapsed()), (10, Duration::ZERO));
    }
}
