//! What is received and not started: one queue, or one lane per key, with the slots to run in.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{
    flights::Flight,
    way_back::{Identity, WayBack},
};

/// The right to run now: one of as many as the concurrency. A delivery that waits gives it up.
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// Deliveries on their way to the workers. A lane is one key's queue: its head is at work or
/// waiting, or the lane stands in the line of those that are ready. Ready lanes take turns, one
/// delivery each, so that none starves.
pub(crate) struct Lanes {
    state: Mutex<State>,
    /// One permit for each turn in `state.ready`.
    ready: Semaphore,
    slots: Arc<Semaphore>,
    /// Workers that wait for something to do.
    idle: AtomicUsize,
    /// Wakes the crew when there is more to do than there are idle workers.
    wanted: Notify,
    bell: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// Whose turn it is: a lane's, or that of the next delivery without one.
    ready: VecDeque<Option<Bytes>>,
    singles: VecDeque<Flight>,
    lanes: HashMap<Bytes, Lane>,
    /// Deliveries that wait in place, and those in line behind them.
    waiting: usize,
    closed: bool,
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<Flight>,
    /// Whether its head is at work, waits, or stands in the line of those that are ready.
    head_at_work: bool,
    head_waits: bool,
    back: WayBack,
}

/// Keeps a lane closed for as long as its delivery is on the way back.
pub(crate) struct GoingBack {
    lanes: Arc<Lanes>,
    key: Bytes,
    message: Identity,
}

impl Lanes {
    pub(crate) fn new(concurrency: usize, bell: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            ready: Semaphore::new(0),
            slots: Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS))),
            idle: AtomicUsize::new(0),
            wanted: Notify::new(),
            bell,
        })
    }

    /// Takes deliveries in, and returns those that must go back at once.
    pub(crate) fn push(&self, flights: impl Iterator<Item = Flight>) -> Vec<Flight> {
        let mut back = Vec::new();
        let mut state = self.state();
        let ready_before = state.ready.len();
        for flight in flights {
            if state.closed {
                back.push(flight);
            } else if flight.delivery.lane.is_none() {
                state.singles.push_back(flight);
                state.ready.push_back(None);
            } else {
                back.extend(state.push_in_order(flight));
            }
        }
        self.ready.add_permits(state.ready.len() - ready_before);
        self.call_for_workers(&state);
        back
    }

    /// A turn to run the next delivery; `None` when closed. Cancel safe.
    pub(crate) async fn turn(&self) -> Option<Turn<'_>> {
        let idle = Idle::new(&self.idle);
        self.ready.acquire().await.ok()?.forget();
        Some(Turn { slot: self.slot().await?, idle })
    }

    /// The delivery whose turn it is; `None` when closed.
    pub(crate) fn next(&self, Turn { slot, idle }: Turn<'_>) -> Option<Flight> {
        let mut state = self.state();
        // Together with taking a turn, or the crew would count both an idle worker and no turn.
        drop(idle);
        let mut next = match state.ready.pop_front()? {
            None => state.singles.pop_front(),
            Some(key) => state.lanes.get_mut(&key)?.queue.pop_front(),
        };
        if let Some(flight) = &mut next {
            flight.delivery.slot = Some(slot);
        }
        next
    }

    /// Waits for a slot; `None` when closed. Cancel safe.
    pub(crate) async fn slot(&self) -> Option<Slot> {
        let permit = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(free) => free,
            Err(_) => Arc::clone(&self.slots).acquire_owned().await.ok()?,
        };
        Some(Slot { _permit: permit })
    }

    /// Moves a lane on after its head has ended.
    pub(crate) fn advance(&self, flight: &Flight) {
        if let Some(key) = &flight.delivery.lane {
            self.move_on(&mut self.state(), key);
        }
    }

    /// Closes a lane whose head goes back to the broker without an end: what stands behind it from
    /// the same session must not overtake it, and goes back too.
    pub(crate) fn turn_back(self: &Arc<Self>, head: Flight) -> Vec<(Flight, Option<GoingBack>)> {
        let Some(key) = head.delivery.lane.clone() else { return vec![(head, None)] };
        let mut state = self.state();
        let lane = state.lanes.entry(key.clone()).or_default();
        let session = Arc::clone(&head.permit.session);
        let (behind, stays) = std::mem::take(&mut lane.queue)
            .into_iter()
            .partition::<VecDeque<_>, _>(|next| Arc::ptr_eq(&next.permit.session, &session));
        lane.queue = stays;
        lane.head_at_work = false;
        let turned = std::iter::once(head).chain(behind);
        turned.map(|flight| self.sends_back(lane, &key, flight)).collect()
    }

    /// Sends one delivery back that has not started.
    pub(crate) fn turn_away(self: &Arc<Self>, flight: Flight) -> (Flight, Option<GoingBack>) {
        let Some(key) = flight.delivery.lane.clone() else { return (flight, None) };
        let mut state = self.state();
        self.sends_back(state.lanes.entry(key.clone()).or_default(), &key, flight)
    }

    fn sends_back(
        self: &Arc<Self>,
        lane: &mut Lane,
        key: &Bytes,
        flight: Flight,
    ) -> (Flight, Option<GoingBack>) {
        let message = lane.back.goes(&flight);
        let going_back = GoingBack { lanes: Arc::clone(self), key: key.clone(), message };
        (flight, Some(going_back))
    }

    /// Gives the next of a lane its turn, or removes the lane.
    fn move_on(&self, state: &mut State, key: &Bytes) {
        let Some(lane) = state.lanes.get_mut(key) else { return };
        lane.head_at_work = lane.may_start();
        if lane.head_at_work {
            state.ready.push_back(Some(key.clone()));
            self.ready.add_permits(1);
            self.call_for_workers(state);
        } else if lane.queue.is_empty() && lane.back.is_free() {
            state.lanes.remove(key);
        }
    }

    /// Marks that the delivery at the head of this lane waits, or that it goes on.
    pub(crate) fn mark_waiting(&self, lane: Option<&Bytes>, waits: bool) {
        let mut state = self.state();
        let behind = lane.and_then(|key| state.lanes.get_mut(key)).map_or(0, |lane| {
            lane.head_waits = waits;
            lane.queue.len()
        });
        if waits {
            state.waiting += 1 + behind;
        } else {
            state.waiting = state.waiting.saturating_sub(1 + behind);
        }
        drop(state);
        self.wanted.notify_one();
        self.bell.notify_one();
    }

    /// Deliveries that wait in place, and those in line behind them.
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// How many workers more there is work for.
    pub(crate) fn short_of_workers(&self) -> usize {
        self.short_in(&self.state())
    }

    fn call_for_workers(&self, state: &State) {
        if self.short_in(state) > 0 {
            self.wanted.notify_one();
        }
    }

    fn short_in(&self, state: &State) -> usize {
        let startable = state.ready.len().min(self.slots.available_permits());
        startable.saturating_sub(self.idle.load(Ordering::Acquire))
    }

    /// Waits until there may be work for more workers. Cancel safe.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Lets nothing more start, and gives back what has not.
    pub(crate) fn close(&self) -> Vec<Flight> {
        let mut state = self.state();
        state.closed = true;
        self.ready.close();
        state.ready.clear();
        let mut left = Vec::from(std::mem::take(&mut state.singles));
        left.extend(state.lanes.values_mut().flat_map(|lane| std::mem::take(&mut lane.queue)));
        left
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts a delivery into its lane, or returns it when it must go back at once.
    fn push_in_order(&mut self, flight: Flight) -> Option<Flight> {
        let key = flight.delivery.lane.clone()?;
        let lane = self.lanes.entry(key.clone()).or_default();
        if lane.back.must_follow(&flight) {
            return Some(flight);
        }
        lane.queue.push_back(flight);
        if lane.head_at_work || !lane.may_start() {
            self.waiting += usize::from(lane.head_waits);
        } else {
            lane.head_at_work = true;
            self.ready.push_back(Some(key));
        }
        None
    }
}

impl Lane {
    /// Whether its first delivery may start: one of a new session must let go back first what the
    /// old one has begun.
    fn may_start(&self) -> bool {
        let follows = |flight| !self.back.is_free() && !self.back.stays(flight);
        self.queue.front().is_some_and(|flight| !follows(flight))
    }
}

impl Drop for GoingBack {
    fn drop(&mut self) {
        let mut state = self.lanes.state();
        let Some(lane) = state.lanes.get_mut(&self.key) else { return };
        if lane.back.has_gone(&self.message) && !lane.head_at_work {
            self.lanes.move_on(&mut state, &self.key);
        }
    }
}

/// The turn of a worker that is still counted as idle, with a slot to run in.
pub(crate) struct Turn<'a> {
    slot: Slot,
    idle: Idle<'a>,
}

/// Counts a worker as idle for as long as it exists.
struct Idle<'a>(&'a AtomicUsize);

impl<'a> Idle<'a> {
    fn new(idle: &'a AtomicUsize) -> Self {
        idle.fetch_add(1, Ordering::AcqRel);
        Self(idle)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
