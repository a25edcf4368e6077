//! What happens next, by chance.

use std::time::Duration;

use rand::{
    RngExt as _, SeedableRng as _,
    rngs::StdRng,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use steadfast::store::{Note, Owner};

use super::{
    call::{Call, Reply},
    model::Model,
    row::Row,
    worker::{Action, Worker},
};
use crate::store::Write;

/// Chooses the calls. The same seed and the same replies give the same calls.
pub(super) struct Plan {
    rng: StdRng,
    tick: Duration,
    born: usize,
    workers: Vec<Worker>,
    /// What must happen next to a key: a call whose reply was lost is made again, a crash comes
    /// between a call and the next.
    next: Vec<Call>,
}

impl Plan {
    /// Few, so that workers meet.
    const KEYS: usize = 4;
    /// More would only be staler.
    const WORKERS_OF_A_KEY: usize = 4;

    pub(super) fn new(seed: u64, tick: Duration) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self { rng, tick, born: 0, workers: Vec::new(), next: Vec::new() }
    }

    /// Calls of different keys, to be made at the same time.
    pub(super) fn next_round(&mut self, model: &Model) -> Vec<Call> {
        match self.rng.random_range(0..24) {
            0..4 => vec![Call::Pass { ticks: self.one_of(&[1, 1, 2, 4, 9]) }],
            4 => vec![Call::Reap],
            _ => {
                let mut keys: Vec<_> = (0..Self::KEYS).collect();
                keys.shuffle(&mut self.rng);
                keys.truncate(self.rng.random_range(1..=Self::KEYS));
                keys.into_iter().map(|key| self.call_of(key, model)).collect()
            }
        }
    }

    /// Lets the worker hear the reply, if the reply arrives and the worker lives.
    pub(super) fn learn(&mut self, call: &Call, reply: &Reply, model: &Model) {
        let Call::Work { worker: Worker { number, key, .. }, action } = call else { return };
        if matches!(action, Action::Crash) {
            return self.workers.retain(|worker| worker.number != *number);
        }
        let lost = self.rng.random_ratio(1, 8);
        let crashes = self.rng.random_ratio(1, 16);
        let Some(worker) = self.workers.iter_mut().find(|known| known.number == *number) else {
            return;
        };
        let next = match action.after_no_reply() {
            Some(next) if lost => Some(next),
            _ => {
                worker.hear(action, reply, model.life(*key));
                crashes.then_some(Action::Crash)
            }
        };
        self.next.extend(next.map(|action| Call::Work { worker: worker.clone(), action }));
    }

    fn call_of(&mut self, key: usize, model: &Model) -> Call {
        if let Some(place) = self.next.iter().position(|call| call.key() == Some(key)) {
            return self.next.remove(place);
        }
        let dead = model.row(key).is_some_and(Row::is_dead);
        if self.rng.random_ratio(1, if dead { 3 } else { 30 }) {
            return self.rearm(key, model);
        }
        let own: Vec<_> = self.workers.iter().filter(|worker| worker.key == key).cloned().collect();
        let weight = |worker: &Worker| if worker.token.is_some() { 3 } else { 1 };
        match own.choose_weighted(&mut self.rng, weight) {
            Ok(worker) if self.rng.random_ratio(3, 4) => {
                let action = self.action_of(worker, model);
                Call::Work { worker: worker.clone(), action }
            }
            _ => {
                if own.len() == Self::WORKERS_OF_A_KEY {
                    self.workers.retain(|worker| worker.number != own[0].number);
                }
                self.newcomer(key)
            }
        }
    }

    fn newcomer(&mut self, key: usize) -> Call {
        self.born += 1;
        let worker = Worker {
            number: self.born,
            key,
            owner: Owner::random(),
            odd: self.rng.random_ratio(1, 25),
            token: None,
            life: 0,
            ended: None,
        };
        self.workers.push(worker.clone());
        Call::Work { worker, action: self.claim() }
    }

    fn claim(&mut self) -> Action {
        Action::Claim(self.one_of(&[4, 4, 4, 1, 0]))
    }

    fn action_of(&mut self, worker: &Worker, model: &Model) -> Action {
        if self.rng.random_ratio(1, 16) {
            return Action::Crash;
        }
        match &worker.ended {
            _ if worker.token.is_none() => self.claim(),
            None => self.next_of(worker),
            Some(end) => self.late(worker, end, model),
        }
    }

    /// What an owner does, or somebody who thinks so.
    fn next_of(&mut self, worker: &Worker) -> Action {
        let note = Note::new(format!("worker {} failed", worker.number));
        let after = self.tick * self.one_of(&[0, 0, 2, 5]);
        let lease = self.tick * self.one_of(&[4, 4, 6, 0]);
        match self.rng.random_range(0..20) {
            0..2 => self.claim(),
            2..5 => Action::Write(Write::Extend(lease)),
            5..9 => Action::Write(Write::Fail { after, note }),
            9..11 => Action::Write(Write::Release),
            11..13 => Action::Write(Write::Complete),
            13..16 => Action::Commit,
            16 => Action::RollBack,
            17 => Action::Abandon,
            _ => Action::Write(Write::Bury(note)),
        }
    }

    /// What somebody does who has ended its claim: repeats that, or tries something else. Left out is
    /// what a store cannot tell from a repeat, or from a first call.
    fn late(&mut self, worker: &Worker, end: &Write, model: &Model) -> Action {
        let row = model.row(worker.key);
        let rearmed = row.is_some_and(|row| row.is_rearmed() && Some(row.token) == worker.token);
        let mut actions = vec![Action::Commit];
        let writes = Write::all(self.tick * 4).into_iter().filter(|write| match rearmed {
            true => matches!(write, Write::Complete | Write::Extend(_)),
            false => write.leads_to() != end.leads_to(),
        });
        actions.extend(writes.map(Action::Write));
        if !rearmed {
            actions.extend(vec![Action::Write(end.clone()); 4]);
        }
        actions.swap_remove(self.rng.random_range(0..actions.len()))
    }

    fn rearm(&mut self, key: usize, model: &Model) -> Call {
        let fence = model.row(key).map_or(1, |row| row.token.fence);
        let (fence, under) = self.one_of(&[
            (Some(fence), "its fence"),
            (Some(fence), "its fence"),
            (Some(fence.saturating_sub(1)), "an older fence"),
            (Some(fence + 1), "a fence to come"),
            (None, "any fence"),
        ]);
        Call::Rearm { key, fence, under }
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.rng.random_range(0..choices.len())]
    }
}
