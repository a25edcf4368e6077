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

use super::flights::Flight;

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
    head_waits: bool,
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

    /// Takes a delivery in, or gives it back when closed.
    pub(crate) fn push(&self, flight: Flight) -> Result<(), Box<Flight>> {
        let mut state = self.state();
        if state.closed {
            return Err(Box::new(flight));
        }
        match flight.delivery.lane.clone() {
            None => {
                state.singles.push_back(flight);
                state.ready.push_back(None);
            }
            Some(key) => match state.lanes.get_mut(&key) {
                Some(lane) => {
                    lane.queue.push_back(flight);
                    let waits = usize::from(lane.head_waits);
                    state.waiting += waits;
                    return Ok(());
                }
                None => {
                    let lane = Lane { queue: VecDeque::from([flight]), head_waits: false };
                    state.lanes.insert(key.clone(), lane);
                    state.ready.push_back(Some(key));
                }
            },
        }
        drop(state);
        self.ready.add_permits(1);
        self.wanted.notify_one();
        Ok(())
    }

    /// The next delivery, with a slot to run in; `None` when closed. Cancel safe.
    pub(crate) async fn take(&self) -> Option<Flight> {
        let _idle = Idle::new(&self.idle);
        self.ready.acquire().await.ok()?.forget();
        let slot = self.slot().await?;
        let mut state = self.state();
        let mut flight = match state.ready.pop_front()? {
            None => state.singles.pop_front()?,
            Some(key) => state.lanes.get_mut(&key)?.queue.pop_front()?,
        };
        flight.delivery.slot = Some(slot);
        Some(flight)
    }

    /// Waits for a slot; `None` when closed. Cancel safe.
    pub(crate) async fn slot(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        Some(Slot { _permit: permit })
    }

    /// Moves a lane on after its head has left. When the head did not end (`ended` is false), what
    /// stands behind it from the same session must not overtake it, and is given back too.
    pub(crate) fn advance(&self, flight: &Flight, ended: bool) -> Vec<Flight> {
        let Some(key) = &flight.delivery.lane else { return Vec::new() };
        let mut state = self.state();
        let Some(lane) = state.lanes.get_mut(key) else { return Vec::new() };
        let (left, stays) =
            std::mem::take(&mut lane.queue).into_iter().partition::<VecDeque<_>, _>(|next| {
                !ended && Arc::ptr_eq(&next.permit.session, &flight.permit.session)
            });
        lane.queue = stays;
        if lane.queue.is_empty() {
            state.lanes.remove(key);
        } else {
            state.ready.push_back(Some(key.clone()));
            self.ready.add_permits(1);
            self.wanted.notify_one();
        }
        left.into()
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
        let startable = self.state().ready.len().min(self.slots.available_permits());
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
