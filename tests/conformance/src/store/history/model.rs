//! All records of a history, as the contract says they must be.

use std::{collections::HashMap, time::Duration};

use steadfast::store::{Answer, Grant, Record, Token, Written};

use super::{
    call::{Call, Reply},
    row::{Expected, Row, same},
    worker::{Action, Worker},
};
use crate::store::Write;

/// What the store must say next.
pub(super) struct Model {
    tick: Duration,
    lends: bool,
    now: u32,
    keys: HashMap<usize, Key>,
}

/// What is known of one key.
#[derive(Default)]
struct Key {
    row: Option<Row>,
    /// The highest fence that was ever granted, also to records that are gone.
    fence: u64,
    /// How often it was claimed like a fresh one.
    life: u32,
    /// Effects committed in each life.
    effects: HashMap<u32, usize>,
}

impl Model {
    pub(super) fn new(tick: Duration, lends: bool) -> Self {
        Self { tick, lends, now: 0, keys: HashMap::new() }
    }

    /// Checks a reply, and learns from it what only the store can say: the fence.
    pub(super) fn check(&mut self, call: &Call, reply: &Reply) -> Result<(), String> {
        match (call, reply) {
            (Call::Work { worker, action: Action::Claim(lease) }, Reply::Answer(answer)) => {
                self.check_claim(worker, *lease, answer)
            }
            (Call::Work { worker, action }, Reply::Written(found)) => {
                same("the write", self.write(worker, action), *found)
            }
            (Call::Rearm { key, fence, .. }, Reply::Written(found)) => {
                let now = self.now;
                let row = self.key(*key).row.as_mut();
                let expected = row.map_or(Written::Fenced, |row| row.rearm(*fence, now));
                same("re-arming", expected, *found)
            }
            (Call::Reap, Reply::Removed(found)) => same("removed", self.reap(), *found),
            (Call::Pass { ticks }, Reply::Nothing) => {
                self.now += ticks;
                Ok(())
            }
            (Call::Work { .. }, Reply::Nothing) => Ok(()),
            (_, reply) => Err(format!("the store {reply}")),
        }
    }

    /// Checks a record as the store shows it.
    pub(super) fn check_record(&self, key: usize, record: Option<&Record>) -> Result<(), String> {
        match (self.row(key), record) {
            (Some(row), Some(record)) => row.check(record),
            (row, record) => same("whether it is there", row.is_some(), record.is_some()),
        }
    }

    /// Effects that must have been committed by workers of this one's life.
    pub(super) fn effects(&self, worker: &Worker) -> usize {
        let effects = self.keys.get(&worker.key).map(|key| &key.effects);
        effects.and_then(|effects| effects.get(&worker.life)).copied().unwrap_or_default()
    }

    pub(super) fn row(&self, key: usize) -> Option<&Row> {
        self.keys.get(&key)?.row.as_ref()
    }

    pub(super) fn life(&self, key: usize) -> u32 {
        self.keys.get(&key).map_or(0, |key| key.life)
    }

    fn key(&mut self, key: usize) -> &mut Key {
        self.keys.entry(key).or_default()
    }

    fn check_claim(&mut self, worker: &Worker, lease: u32, answer: &Answer) -> Result<(), String> {
        let (tick, now) = (self.tick, self.now);
        let key = self.key(worker.key);
        let expected = key.row.as_ref().map_or(Expected::First, |row| row.expect(worker, now));
        match (expected, answer) {
            (Expected::First | Expected::Same | Expected::Next, Answer::Granted(grant)) => {
                key.check_grant(worker, expected, grant, now + lease)
            }
            (Expected::Busy { ticks }, Answer::Busy(remaining))
            | (Expected::NotYet { ticks }, Answer::NotYet(remaining)) => {
                // Less by what the calls took, which is far from a tick.
                let within = *remaining <= tick * ticks && *remaining + tick > tick * ticks;
                same("whether so much remains", true, within)
            }
            (Expected::Dead, Answer::Dead { fence }) => same("last fence", key.fence, *fence),
            (Expected::Done, Answer::Done) | (Expected::Conflict, Answer::Conflict) => Ok(()),
            _ => Err(format!("the claim must be answered {expected:?}, and is {answer:?}")),
        }
    }

    fn write(&mut self, worker: &Worker, action: &Action) -> Written {
        let (tick, now, lends) = (self.tick, self.now, self.lends);
        let key = self.key(worker.key);
        let (Some(row), Some(token)) = (&mut key.row, &worker.token) else {
            return Written::Fenced;
        };
        match action {
            // Applied would say that this transaction was committed, not an earlier one.
            Action::Commit if lends && !row.is_held_by(token) => Written::Fenced,
            Action::Commit => {
                *key.effects.entry(worker.life).or_default() += 1;
                row.write(token, &Write::Complete, now, 0)
            }
            Action::Write(write) => row.write(token, write, now, ticks_of(write, tick)),
            _ => Written::Fenced,
        }
    }

    fn reap(&mut self) -> usize {
        let now = self.now;
        let rows = self.keys.values_mut().map(|key| &mut key.row);
        rows.filter_map(|row| row.take_if(|row| row.is_expired(now))).count()
    }
}

impl Key {
    fn check_grant(
        &mut self,
        worker: &Worker,
        expected: Expected,
        grant: &Grant,
        until: u32,
    ) -> Result<(), String> {
        same("owner", worker.owner, grant.token.owner)?;
        if expected == Expected::Same {
            same("the same claim", self.row.as_ref().map(|row| row.token), Some(grant.token))?;
        } else {
            self.check_fence(&grant.token)?;
        }
        match &mut self.row {
            Some(row) if expected != Expected::First => row.granted(worker, grant.token, until),
            row => {
                *row = Some(Row::first(worker, grant.token, until));
                self.life += 1;
            }
        }
        let row = self.row.as_ref().expect("it was granted just now");
        same("attempts", row.attempts, grant.attempts)?;
        row.check_history(&grant.history)
    }

    fn check_fence(&mut self, token: &Token) -> Result<(), String> {
        if token.fence <= self.fence {
            return Err(format!("fence {} was granted after {}", token.fence, self.fence));
        }
        self.fence = token.fence;
        Ok(())
    }
}

/// The wait or the lease in a write.
fn ticks_of(write: &Write, tick: Duration) -> u32 {
    let time = match write {
        Write::Fail { after, .. } => *after,
        Write::Extend(lease) => *lease,
        Write::Complete | Write::Release | Write::Bury(_) => Duration::ZERO,
    };
    (time.as_nanos() / tick.as_nanos()) as u32
}
