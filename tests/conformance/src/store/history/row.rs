//! One record, as the contract says it must be.

use std::fmt::Debug;

use steadfast::{
    History,
    store::{Record, State, Token, Written},
};

use super::worker::Worker;
use crate::store::Write;

/// A record in the model. Times are ticks since the history began.
#[derive(Debug, Clone)]
pub(super) struct Row {
    phase: Phase,
    /// Of its last claim.
    pub(super) token: Token,
    pub(super) attempts: u32,
    pub(super) redrives: u32,
    /// Whether it belongs to the odd payload; `None` once it was re-armed.
    odd: Option<bool>,
    last_error: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    InProgress { until: u32 },
    Failed { due: u32 },
    Done { expires: u32 },
    Dead { expires: u32 },
}

/// What a claim must be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// A grant of its first attempt.
    First,
    /// The grant that its owner has.
    Same,
    /// A grant of its next attempt.
    Next,
    Done,
    Dead,
    Busy {
        ticks: u32,
    },
    NotYet {
        ticks: u32,
    },
    Conflict,
}

impl Row {
    /// What a first grant makes.
    pub(super) fn first(worker: &Worker, token: Token, until: u32) -> Self {
        Self {
            phase: Phase::InProgress { until },
            token,
            attempts: 1,
            redrives: 0,
            odd: Some(worker.odd),
            last_error: None,
        }
    }

    /// What a later grant makes of it.
    pub(super) fn granted(&mut self, worker: &Worker, token: Token, until: u32) {
        self.phase = Phase::InProgress { until };
        self.attempts += u32::from(self.token != token);
        self.token = token;
        self.odd = Some(worker.odd);
    }

    pub(super) fn expect(&self, worker: &Worker, now: u32) -> Expected {
        match self.phase {
            Phase::Done { expires } if expires <= now => Expected::First,
            _ if self.odd.is_some_and(|odd| odd != worker.odd) => Expected::Conflict,
            Phase::Done { .. } => Expected::Done,
            Phase::Dead { .. } => Expected::Dead,
            Phase::InProgress { .. } if self.token.owner == worker.owner => Expected::Same,
            Phase::InProgress { until } if until > now => Expected::Busy { ticks: until - now },
            Phase::Failed { due } if due > now => Expected::NotYet { ticks: due - now },
            Phase::InProgress { .. } | Phase::Failed { .. } => Expected::Next,
        }
    }

    /// Makes a write, if the token holds the record; `ticks` is the wait or the lease in it.
    pub(super) fn write(&mut self, token: &Token, write: &Write, now: u32, ticks: u32) -> Written {
        if !self.is_held_by(token) {
            let repeat = token.fence == self.token.fence && write.leads_to() == self.state();
            return if repeat { Written::Applied } else { Written::Fenced };
        }
        let expires = now + Worker::RETENTION;
        self.phase = match write {
            Write::Complete => Phase::Done { expires },
            Write::Fail { .. } => Phase::Failed { due: now + ticks },
            Write::Release => Phase::Failed { due: now },
            Write::Bury(_) => Phase::Dead { expires },
            Write::Extend(_) => Phase::InProgress { until: now + ticks },
        };
        match write {
            Write::Fail { note, .. } | Write::Bury(note) => {
                self.last_error = Some(note.error.clone());
            }
            Write::Release => self.attempts -= 1,
            Write::Complete | Write::Extend(_) => {}
        }
        Written::Applied
    }

    pub(super) fn rearm(&mut self, fence: Option<u64>, now: u32) -> Written {
        if !self.is_dead() || fence.is_some_and(|fence| fence != self.token.fence) {
            return Written::Fenced;
        }
        self.phase = Phase::Failed { due: now };
        (self.attempts, self.redrives, self.odd) = (0, self.redrives + 1, None);
        Written::Applied
    }

    pub(super) fn is_held_by(&self, token: &Token) -> bool {
        self.state() == State::InProgress && self.token == *token
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state() == State::Dead
    }

    /// Whether it was re-armed and not claimed since.
    pub(super) fn is_rearmed(&self) -> bool {
        self.odd.is_none()
    }

    pub(super) fn is_expired(&self, now: u32) -> bool {
        matches!(self.phase, Phase::Done { expires } | Phase::Dead { expires } if expires <= now)
    }

    /// Checks a record as the store shows it.
    pub(super) fn check(&self, record: &Record) -> Result<(), String> {
        same("state", self.state(), record.state)?;
        same("fence", self.token.fence, record.fence)?;
        same("attempts", self.attempts, record.attempts)?;
        same("redrives", self.redrives, record.redrives)?;
        self.check_history(&record.history)
    }

    pub(super) fn check_history(&self, history: &History) -> Result<(), String> {
        let failed = self.last_error.is_some();
        same("last error", &self.last_error, &history.last_error)?;
        same("whether it failed first", failed, history.first_failed.is_some())?;
        same("whether it failed last", failed, history.last_failed.is_some())?;
        same("whether it failed in order", true, history.first_failed <= history.last_failed)
    }

    fn state(&self) -> State {
        match self.phase {
            Phase::InProgress { .. } => State::InProgress,
            Phase::Failed { .. } => State::Failed,
            Phase::Done { .. } => State::Done,
            Phase::Dead { .. } => State::Dead,
        }
    }
}

/// Complains where what was found is not what was expected.
pub(super) fn same<T: PartialEq + Debug>(what: &str, expected: T, found: T) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, found {found:?}"))
}
