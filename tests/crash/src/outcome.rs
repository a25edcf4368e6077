//! What became of a round, and the verdict.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use steadfast::store::{Record, State, Store as _};
use steadfast_postgres::testing::Scratch;

use crate::{Entry, Event, Ledger, Line, Mode, Plan, letters::Letters};

/// What became of a round.
#[derive(Debug)]
pub struct Outcome {
    /// What the workers were given.
    pub plan: Plan,
    /// What they told.
    pub lines: Vec<Line>,
    /// What they did, as the ledger has it.
    pub entries: Vec<Entry>,
    /// The records at the end, by number.
    pub records: BTreeMap<u32, Record>,
    /// What lies in the dead letters, where a round has poison.
    pub letters: Letters,
    /// Whose dead letters were deleted.
    pub letters_gone: BTreeSet<u32>,
    /// How many workers died of SIGKILL.
    pub kills: usize,
    /// How many were stopped for longer than their leases.
    pub stops: usize,
    /// How many died of their handler.
    pub aborts: usize,
    /// How often something beside the workers was struck.
    pub blows: usize,
}

impl Outcome {
    pub(crate) fn of(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            lines: Vec::new(),
            entries: Vec::new(),
            records: BTreeMap::new(),
            letters: Letters::default(),
            letters_gone: BTreeSet::new(),
            kills: 0,
            stops: 0,
            aborts: 0,
            blows: 0,
        }
    }

    pub(crate) async fn read(mut self, scratch: &Scratch) -> Result<Self> {
        self.entries = Ledger::new(scratch.schema()).read(scratch.pool()).await?;
        for number in (0..self.plan.messages).filter(|number| self.plan.has_record(*number)) {
            let record = scratch.store().look(&self.plan.record(number)).await?;
            self.records.insert(number, record.with_context(|| format!("{number} is lost"))?);
        }
        Ok(self)
    }

    /// What workers have told to be buried so far.
    pub(crate) fn buried(&self) -> BTreeSet<u32> {
        let dead = self.lines.iter().filter(|line| line.event == Event::Dead);
        dead.filter_map(|line| line.key.trim_start_matches("m-").parse().ok()).collect()
    }

    /// How many writes of owners that had lost their record the store refused.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.lines.iter().filter(|line| line.event == Event::Fenced).count()
    }

    /// How many effects there are beyond one for each message.
    #[must_use]
    pub fn repeats(&self) -> usize {
        let keys: BTreeSet<_> = self.entries.iter().map(|entry| &entry.key).collect();
        self.entries.len() - keys.len()
    }

    /// How many messages that nothing is wrong with have no effect.
    #[must_use]
    pub fn lost(&self) -> usize {
        let done: BTreeSet<_> = self.entries.iter().map(|entry| &entry.key).collect();
        let good = self.records.keys().filter(|number| !self.plan.poison.contains_key(number));
        good.filter(|number| !done.contains(&Plan::key(**number))).count()
    }

    /// How many effects there are beyond one for each message where there may be none.
    #[must_use]
    pub fn doubled(&self) -> usize {
        if self.plan.mode == Mode::Transactional { self.repeats() } else { 0 }
    }

    /// All that is wrong; empty when every promise was kept.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (number, record) in &self.records {
            self.judge_message(*number, record, &mut complaints);
        }
        if self.repeats() > self.most_repeats() {
            let (repeats, most) = (self.repeats(), self.most_repeats());
            complaints.push(format!("{repeats} repeats, and no more than {most} are explained"));
        }
        complaints.extend(self.disordered());
        complaints.extend(self.letters.complaints(&self.plan));
        complaints
    }

    fn judge_message(&self, number: u32, record: &Record, complaints: &mut Vec<String>) {
        let key = Plan::key(number);
        let fences = self.entries.iter().filter(|entry| entry.key == key).map(|entry| entry.fence);
        let fences: Vec<_> = fences.map(i64::cast_unsigned).collect();
        let is_poison = self.plan.poison.contains_key(&number);
        let wanted = if is_poison { State::Dead } else { State::Done };
        if record.state != wanted {
            complaints.push(format!("{key} ended as {record:?}"));
        }
        match self.plan.mode {
            Mode::Transactional if is_poison && !fences.is_empty() => {
                complaints.push(format!("{key} is dead and has effects of {fences:?}"));
            }
            Mode::Transactional if !is_poison && fences != [record.fence] => {
                complaints.push(format!(
                    "{key} was done by {}, its effects are of {fences:?}",
                    record.fence
                ));
            }
            Mode::Leased if !fences.contains(&record.fence) && !is_poison => {
                complaints.push(format!(
                    "{key} was done by {}, its effects are of {fences:?}",
                    record.fence
                ));
            }
            _ => {}
        }
        if fences.iter().collect::<BTreeSet<_>>().len() != fences.len() {
            complaints.push(format!("one attempt at {key} wrote twice: {fences:?}"));
        }
        // Whoever completed is the last one that claimed, and nobody else completed.
        let done = self.lines.iter().filter(|line| line.key == key && line.event == Event::Done);
        let done: Vec<_> = done.map(|line| line.fence).collect();
        if done.len() > 1 || done.iter().any(|fence| *fence != record.fence) {
            complaints.push(format!("{key} was completed by {done:?}, and is of {}", record.fence));
        }
    }

    /// Messages that took effect, for the first time, after a later one of their key.
    pub(crate) fn disordered(&self) -> Vec<String> {
        if !self.plan.ordered {
            return Vec::new();
        }
        let mut newest: BTreeMap<String, u32> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut complaints = Vec::new();
        for number in self.entries.iter().filter_map(Entry::number) {
            let before = newest.entry(self.plan.lane(number)).or_insert(number);
            if seen.insert(number) && number < *before {
                complaints
                    .push(format!("m-{number} took effect after m-{before}, of the same key"));
            }
            *before = number.max(*before);
        }
        complaints
    }

    /// Repeats that are explained: in the leased mode an attempt may have written before its worker
    /// was killed or lost its lease, or before the database or the broker took it away; and
    /// what always fails has written each time.
    fn most_repeats(&self) -> usize {
        if self.plan.mode == Mode::Transactional {
            return 0;
        }
        let at_once = self.plan.concurrency;
        let workers = 3;
        let poison = self.plan.poison.values();
        let failed = poison.map(|poison| poison.repeats(self.plan.max_attempts)).sum::<usize>();
        let struck = (self.kills + self.aborts + self.stops + self.blows * workers) * at_once;
        struck + failed + self.refused()
    }
}
