//! Pauses intake while failures say that a dependency is down, and probes until it is back (P8).

mod policy;

use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

pub use self::policy::BreakerPolicy;
use crate::{
    chance::Chance,
    clock::from_now,
    consumer::{Health, Outage},
};

/// A probe that ends wakes those who wait; this bounds the wait all the same.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The breaker of one consumer.
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    state: Mutex<State>,
    line: Mutex<Line>,
    /// Wakes the attempts that wait at the breaker.
    changed: Notify,
    /// Wakes intake.
    bell: Arc<Notify>,
    health: Health,
    chance: Chance,
}

/// Those who wait, by the order in which they came.
#[derive(Default)]
struct Line {
    next: u64,
    tickets: BTreeSet<u64>,
}

/// A place in the line, left when it is dropped.
struct Ticket<'a> {
    breaker: &'a Breaker,
    number: u64,
}

enum State {
    Closed { recent: VecDeque<bool> },
    Open(Open),
}

struct Open {
    dependency: Cow<'static, str>,
    /// Nobody named it: it is inferred from failures.
    by_ratio: bool,
    since: Instant,
    until: Instant,
    failed_probes: u32,
    /// The probe that is under way: its number, and since when.
    probing: Option<(u64, Instant)>,
    /// Whether intake may take one message for the next probe.
    may_fetch: bool,
    _outage: Outage,
}

/// What a failure is taken for.
pub(crate) struct Suspicion {
    pub(crate) dependency: Cow<'static, str>,
    pub(crate) by_ratio: bool,
}

/// Leave for one attempt. As a probe it is the only one until it is dropped, or until it has taken so long
/// that another is due.
pub(crate) struct Pass {
    probe_of: Option<(Arc<Breaker>, u64)>,
}

/// Whether intake may take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    Free,
    /// One message may be taken for each probe, in case all in flight fail by their own fault.
    Probe,
    PausedUntil(Instant),
}

impl Breaker {
    pub(crate) fn new(
        policy: BreakerPolicy,
        bell: Arc<Notify>,
        health: Health,
        chance: Chance,
    ) -> Arc<Self> {
        let state = Mutex::new(State::Closed { recent: VecDeque::new() });
        Arc::new(Self {
            policy,
            state,
            line: Mutex::default(),
            changed: Notify::new(),
            bell,
            health,
            chance,
        })
    }

    /// Waits for leave to make an attempt. Those who wait probe in turn, so that no message keeps
    /// the breaker open by its own fault. Cancel safe.
    pub(crate) async fn admit(self: &Arc<Self>) -> Pass {
        let ticket = Ticket::draw(self);
        loop {
            let changed = self.changed.notified();
            match self.look(Some(ticket.number)) {
                Ok(pass) => return pass,
                Err(until) => {
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = tokio::time::sleep_until(until) => {}
                    }
                }
            }
        }
    }

    /// Leave at once, if nobody has waited for it longer.
    pub(crate) fn try_admit(self: &Arc<Self>) -> Option<Pass> {
        self.look(None).ok()
    }

    /// Leave, or until when to wait at the longest.
    fn look(self: &Arc<Self>, ticket: Option<u64>) -> Result<Pass, Instant> {
        let mut state = self.state();
        let State::Open(open) = &mut *state else { return Ok(Pass { probe_of: None }) };
        let mut line = self.line();
        let first = line.tickets.first().copied();
        let now = Instant::now();
        // One that hangs is not waited for without an end: it may wait for one of those who wait for it.
        let others_turn = open.probing.map(|(_, since)| since + LOOK_AGAIN);
        let is_probing = others_turn.is_some_and(|turn| turn > now);
        if open.until > now && !is_probing {
            return Err(open.until);
        }
        if is_probing || first != ticket {
            return Err(others_turn.filter(|turn| *turn > now).unwrap_or(now + LOOK_AGAIN));
        }
        line.next += 1;
        open.probing = Some((line.next, now));
        Ok(Pass { probe_of: Some((Arc::clone(self), line.next)) })
    }

    /// An attempt succeeded: whatever was down is back.
    pub(crate) fn succeeded(&self) {
        let mut state = self.state();
        match &mut *state {
            State::Closed { recent } => self.note(recent, false),
            State::Open(_) => {
                *state = State::Closed { recent: VecDeque::new() };
                drop(state);
                self.wake();
            }
        }
    }

    /// An attempt failed in a way that may be an outage's doing. `first` tells the first failure of
    /// a message here from its later ones. The outage, if there seems to be one.
    pub(crate) fn failed(&self, first: bool) -> Option<Suspicion> {
        let mut state = self.state();
        match &mut *state {
            State::Open(open) => {
                if open.probing.is_some() {
                    open.failed_probes = open.failed_probes.saturating_add(1);
                    open.until = from_now(self.pause(open.failed_probes));
                    open.may_fetch = true;
                }
                // A probe that fails otherwise than its handler names outages fails by its own fault.
                let believed = open.by_ratio && open.since.elapsed() < self.policy.believed_for;
                (believed || open.probing.is_none()).then(|| Suspicion {
                    dependency: open.dependency.clone(),
                    by_ratio: open.by_ratio,
                })
            }
            State::Closed { recent } => {
                if first {
                    self.note(recent, true);
                }
                let failures = recent.iter().filter(|failed| **failed).count();
                let full = recent.len() >= self.policy.window;
                #[allow(clippy::cast_precision_loss, reason = "windows are small")]
                let ratio = failures as f64 / recent.len().max(1) as f64;
                if !(full && ratio >= self.policy.ratio) {
                    return None;
                }
                drop(state);
                let dependency = Cow::Borrowed("failure ratio");
                self.open(dependency.clone(), true);
                Some(Suspicion { dependency, by_ratio: true })
            }
        }
    }

    /// The handler says that a dependency is down.
    pub(crate) fn unavailable(&self, dependency: Cow<'static, str>) {
        if self.dependency().is_none() {
            self.open(dependency, false);
        } else {
            self.failed(false);
        }
    }

    /// Whether intake may take, and if not, when to ask again. Where nothing is in flight, nothing
    /// else can serve as a probe.
    pub(crate) fn intake(&self, in_flight: usize) -> Intake {
        match &*self.state() {
            State::Closed { .. } => Intake::Free,
            State::Open(open) if open.until > Instant::now() => Intake::PausedUntil(open.until),
            State::Open(open) if open.may_fetch || in_flight == 0 => Intake::Probe,
            State::Open(_) => Intake::PausedUntil(Instant::now() + LOOK_AGAIN),
        }
    }

    /// Intake takes its one message.
    pub(crate) fn fetches(&self) {
        if let State::Open(open) = &mut *self.state() {
            open.may_fetch = false;
        }
    }

    /// What is down, as the handler named it.
    pub(crate) fn dependency(&self) -> Option<Cow<'static, str>> {
        match &*self.state() {
            State::Closed { .. } => None,
            State::Open(open) => Some(open.dependency.clone()),
        }
    }

    fn open(&self, dependency: Cow<'static, str>, by_ratio: bool) {
        let until = from_now(self.pause(1));
        let _outage = self.health.outage(dependency.clone());
        let open = Open {
            dependency,
            by_ratio,
            since: Instant::now(),
            until,
            failed_probes: 1,
            probing: None,
            may_fetch: true,
            _outage,
        };
        *self.state() = State::Open(open);
        self.wake();
        // Who was told of the outage has not seen the breaker open yet.
        self.health.wake();
    }

    fn pause(&self, failed_probes: u32) -> Duration {
        self.chance.wait(&self.policy.probes, failed_probes)
    }

    fn note(&self, recent: &mut VecDeque<bool>, failed: bool) {
        if recent.len() >= self.policy.window {
            recent.pop_front();
        }
        recent.push_back(failed);
    }

    fn wake(&self) {
        self.changed.notify_waiters();
        self.bell.notify_one();
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    pub(crate) fn is_probe(&self) -> bool {
        self.probe_of.is_some()
    }
}

impl<'a> Ticket<'a> {
    fn draw(breaker: &'a Breaker) -> Self {
        let mut line = breaker.line();
        line.next += 1;
        let number = line.next;
        line.tickets.insert(number);
        Self { breaker, number }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.breaker.line().tickets.remove(&self.number);
        self.breaker.changed.notify_waiters();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some((breaker, number)) = self.probe_of.take() else { return };
        if let State::Open(open) = &mut *breaker.state() {
            open.probing = open.probing.filter(|(other, _)| *other != number);
            open.may_fetch = true;
        }
        breaker.wake();
    }
}

#[cfg(test)]
mod tests;
