//! Pauses intake while failures say that a dependency is down, and probes until it is back (P8).

use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    Backoff,
    chance::Chance,
    clock::from_now,
    consumer::{Health, Outage},
};

/// A probe that ends wakes those who wait; this bounds the wait all the same.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// When to take failures for an outage.
#[derive(Debug, Clone)]
pub struct BreakerPolicy {
    window: usize,
    ratio: f64,
    probes: Backoff,
}

impl Default for BreakerPolicy {
    /// Nine failures in ten over the last 20 messages; probes after 1 s, doubling up to 30 s.
    fn default() -> Self {
        let probes = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(30))
            .floor(Duration::from_millis(500));
        Self { window: 20, ratio: 0.9, probes }
    }
}

impl BreakerPolicy {
    /// Opens when, of the last `window` different messages, this share or more failed at their
    /// first attempt here. Fewer messages never open it, so a few poison messages do not.
    #[must_use]
    pub fn failure_ratio(mut self, ratio: f64, window: usize) -> Self {
        self.ratio = ratio;
        self.window = window;
        self
    }

    /// Sets the waits between probes.
    #[must_use]
    pub fn probes(mut self, probes: Backoff) -> Self {
        self.probes = probes;
        self
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.window == 0 || !(self.ratio > 0.0 && self.ratio <= 1.0) {
            return Err(format!(
                "breaker is failure_ratio({}, {}): it needs a ratio above 0 and up to 1, and a \
                 window of at least 1",
                self.ratio, self.window
            ));
        }
        Ok(())
    }
}

/// The breaker of one consumer.
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    state: Mutex<State>,
    /// Wakes the attempts that wait at the breaker.
    changed: Notify,
    /// Wakes intake.
    bell: Arc<Notify>,
    health: Health,
    chance: Chance,
}

enum State {
    Closed { recent: VecDeque<bool> },
    Open(Open),
}

struct Open {
    dependency: Cow<'static, str>,
    until: Instant,
    failed_probes: u32,
    probing: bool,
    _outage: Outage,
}

/// Leave for one attempt. As a probe it is the only one until it is dropped.
pub(crate) struct Pass {
    probe_of: Option<Arc<Breaker>>,
}

/// Whether intake may take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    Free,
    /// One message may be taken, in case no message in flight can serve as a probe.
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
        Arc::new(Self { policy, state, changed: Notify::new(), bell, health, chance })
    }

    /// Waits for leave to make an attempt. Cancel safe.
    pub(crate) async fn admit(self: &Arc<Self>) -> Pass {
        loop {
            let changed = self.changed.notified();
            match self.try_admit() {
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

    /// Leave at once, or until when to wait at the longest.
    pub(crate) fn try_admit(self: &Arc<Self>) -> Result<Pass, Instant> {
        let now = Instant::now();
        match &mut *self.state() {
            State::Closed { .. } => Ok(Pass { probe_of: None }),
            State::Open(open) if open.probing => Err(now + LOOK_AGAIN),
            State::Open(open) if open.until > now => Err(open.until),
            State::Open(open) => {
                open.probing = true;
                Ok(Pass { probe_of: Some(Arc::clone(self)) })
            }
        }
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
    /// a message here from its later ones. Says whether the failure is an outage's.
    pub(crate) fn failed(&self, first: bool) -> Option<Cow<'static, str>> {
        let mut state = self.state();
        match &mut *state {
            State::Open(open) => {
                if open.probing {
                    open.failed_probes = open.failed_probes.saturating_add(1);
                    open.until = from_now(self.pause(open.failed_probes));
                }
                Some(open.dependency.clone())
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
                Some(self.open(Cow::Borrowed("failure ratio")))
            }
        }
    }

    /// The handler says that a dependency is down.
    pub(crate) fn unavailable(&self, dependency: Cow<'static, str>) {
        if self.failed(false).is_none() {
            self.open(dependency);
        }
    }

    /// Whether intake may take, and if not, when to ask again.
    pub(crate) fn intake(&self) -> Intake {
        match &*self.state() {
            State::Closed { .. } => Intake::Free,
            State::Open(open) if open.probing => Intake::PausedUntil(Instant::now() + LOOK_AGAIN),
            State::Open(open) if open.until <= Instant::now() => Intake::Probe,
            State::Open(open) => Intake::PausedUntil(open.until),
        }
    }

    /// What is down, as the handler named it.
    pub(crate) fn dependency(&self) -> Option<Cow<'static, str>> {
        match &*self.state() {
            State::Closed { .. } => None,
            State::Open(open) => Some(open.dependency.clone()),
        }
    }

    fn open(&self, dependency: Cow<'static, str>) -> Cow<'static, str> {
        let until = from_now(self.pause(1));
        let named = dependency.clone();
        let _outage = self.health.outage(dependency.clone());
        let open = Open { dependency, until, failed_probes: 1, probing: false, _outage };
        *self.state() = State::Open(open);
        self.wake();
        named
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some(breaker) = self.probe_of.take() else { return };
        if let State::Open(open) = &mut *breaker.state() {
            open.probing = false;
        }
        breaker.wake();
    }
}

#[cfg(test)]
mod tests;
