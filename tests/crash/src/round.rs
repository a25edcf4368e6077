//! One round: workers on the same messages, and what happens to them.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use steadfast::store::{State, Store as _};
use steadfast_postgres::{Config, testing::Scratch};
use tokio::runtime::Runtime;

use crate::{Action, Fault, Ledger, Outcome, Plan, Point, feed, letters::Letters, slot::Slot};

/// One round: workers on the same messages, and what happens to them.
#[derive(Clone, Debug)]
pub struct Round {
    /// What each worker is given; the round fills in schema, worker and fault.
    pub plan: Plan,
    /// For each worker the faults of its lives, one life after the other.
    pub faults: Vec<Vec<Fault>>,
    /// What comes from outside, in order.
    pub disturbances: Vec<Disturbance>,
    /// For each worker how many seconds its wall clock is ahead. Missing ones are right.
    pub clocks: Vec<i32>,
    /// The blow of this number begins when the dead letters were deleted, and what has been buried by then
    /// lies nowhere any more.
    pub letters_gone_at: Option<usize>,
    /// Each worker with faults of its own begins alone: those after it start when it has come to the first.
    /// They would leave it nothing, where it is slow to start.
    pub staggered: bool,
}

/// Something from outside.
#[derive(Clone, Copy, Debug)]
pub struct Disturbance {
    /// Once all workers together have told this many lines.
    pub after: usize,
    /// What.
    pub blow: Blow,
}

/// What comes from outside.
#[derive(Clone, Copy, Debug)]
pub enum Blow {
    /// The worker of this number is killed or stopped.
    Worker(usize, Action),
    /// The first is killed, and the second once the first one's next life has begun and the broker says that
    /// the group makes room for it. For brokers with groups.
    Rebalance(usize, usize),
    /// The blow of this number, of those that the round is run with.
    Around(usize),
}

impl Blow {
    /// How many workers it kills.
    pub(crate) fn kills(self) -> usize {
        match self {
            Self::Worker(_, Action::Kill) => 1,
            Self::Rebalance(..) => 2,
            Self::Worker(_, Action::Stop) | Self::Around(_) => 0,
        }
    }
}

/// What strikes something around the workers: the database, the broker, the network.
pub type Strike<'a> = &'a mut dyn FnMut() -> Result<()>;

/// How long nothing may end, on a slow and busy machine, before a round counts as stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How long between two looks at the workers.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How many records are looked at in a row, which at most keep pace with the workers: they are to be heard
/// in between, and struck while they work.
const LOOKS: usize = 20;

impl Round {
    /// Workers to whom nothing happens yet.
    #[must_use]
    pub fn new(plan: Plan, workers: usize) -> Self {
        Self {
            plan,
            faults: vec![Vec::new(); workers],
            disturbances: Vec::new(),
            clocks: Vec::new(),
            letters_gone_at: None,
            staggered: false,
        }
    }

    /// Three workers, with faults in some of their lives and kills and stops from outside, as the seed says.
    #[must_use]
    pub fn random(mut plan: Plan, seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        plan.seed = seed;
        let mut round = Self::new(plan, 3);
        let action = |chance: &mut StdRng| match chance.random_bool(0.6) {
            true => Action::Kill,
            false => Action::Stop,
        };
        for faults in &mut round.faults {
            for _ in 0..chance.random_range(0..3) {
                let point = *Point::ALL.choose(&mut chance).unwrap_or(&Point::AfterEffect);
                faults.push(Fault {
                    point,
                    skip: chance.random_range(0..4),
                    action: action(&mut chance),
                });
            }
        }
        for _ in 0..chance.random_range(1..5) {
            let (after, worker) = (chance.random_range(0..100), chance.random_range(0..3));
            let blow = Blow::Worker(worker, action(&mut chance));
            round.disturbances.push(Disturbance { after, blow });
        }
        round.disturbances.sort_by_key(|disturbance| disturbance.after);
        round
    }

    /// Runs it to its end: every record done or dead, every worker stopped in good order. `program` is the
    /// worker, `env!("CARGO_BIN_EXE_crash-worker")` in a test; `around` are the blows that its
    /// disturbances name by number.
    ///
    /// # Errors
    /// When something is stuck, or a worker ends by itself.
    pub fn run(&self, program: &str, around: &mut [Strike<'_>]) -> Result<Outcome> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let config = Config::new(&self.plan.store)?.lanes(1)?;
        let scratch = runtime.block_on(Scratch::with(config)).context("the round's schema")?;
        let mut plan = self.plan.clone();
        plan.schema = scratch.schema().to_owned();
        runtime.block_on(async {
            let ledger = Ledger::new(&plan.schema);
            ledger.make(scratch.pool()).await?;
            if plan.seed.is_multiple_of(3) {
                ledger.slow_down(scratch.pool()).await?;
            }
            feed::load(&plan).await
        })?;
        let mut stage = Stage {
            slots: Vec::new(),
            unfinished: (0..plan.messages).filter(|number| plan.has_record(*number)).collect(),
            outcome: Outcome::of(&plan),
            disturbances: &self.disturbances,
            letters_gone_at: self.letters_gone_at,
            runtime: &runtime,
            scratch: &scratch,
            around,
        };
        for (number, faults) in self.faults.iter().enumerate() {
            let clock = self.clocks.get(number).copied().unwrap_or(0);
            stage.slots.push(Slot::start(&plan, number, faults, clock, program)?);
            if self.staggered && !faults.is_empty() {
                let playing = stage.play_until(|stage| stage.slots[number].was_struck());
                playing.with_context(|| format!("{self:#?}"))?;
            }
        }
        stage.play().with_context(|| format!("{self:#?}"))?;
        let Stage { outcome, .. } = stage;
        runtime.block_on(feed::unload(&plan))?;
        runtime.block_on(outcome.read(&scratch))
    }
}

/// A round while it runs.
struct Stage<'a, 'b> {
    slots: Vec<Slot>,
    unfinished: BTreeSet<u32>,
    outcome: Outcome,
    disturbances: &'a [Disturbance],
    letters_gone_at: Option<usize>,
    runtime: &'a Runtime,
    scratch: &'a Scratch,
    around: &'a mut [Strike<'b>],
}

impl Stage<'_, '_> {
    fn play(&mut self) -> Result<()> {
        self.play_until(|_| false)?;
        // While the workers are at work: what has no record may still be on its way.
        let reading = Letters::read(&self.outcome.plan, &self.outcome.letters_gone);
        self.outcome.letters = self.runtime.block_on(reading)?;
        for slot in &mut self.slots {
            slot.end(&mut self.outcome)?;
        }
        Ok(())
    }

    /// Until this, or to the end of the last record.
    fn play_until(&mut self, enough: impl Fn(&Self) -> bool) -> Result<()> {
        let left = |stage: &Self| (stage.unfinished.len(), stage.disturbances.len());
        let (mut since, mut before) = (Instant::now(), left(self));
        while !self.is_over() && !enough(self) {
            thread::sleep(LOOK_AGAIN);
            self.step()?;
            if left(self) != before {
                (since, before) = (Instant::now(), left(self));
            } else if since.elapsed() > PATIENCE {
                bail!("stuck for {} s: {}", PATIENCE.as_secs(), self.describe_unfinished());
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        self.disturb()?;
        self.look_at_records();
        for slot in &mut self.slots {
            slot.hear(&mut self.outcome);
            slot.live_on(&mut self.outcome)?;
        }
        let all_stopped = self.slots.iter().all(Slot::is_stopped);
        for slot in &mut self.slots {
            let store = self.scratch.store();
            let taken_over = |held: (u32, u64)| {
                let looked = self.runtime.block_on(store.look(&self.outcome.plan.record(held.0)));
                matches!(looked, Ok(Some(record))
                    if record.fence != held.1 || record.state != State::InProgress)
            };
            slot.go_on_when_others_have(taken_over, all_stopped)?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.unfinished.is_empty() && self.slots.iter().all(|slot| !slot.is_stopped())
    }

    /// The next disturbance, if the workers have told enough and are still at work.
    fn due(&self) -> Option<Disturbance> {
        let next = self.disturbances.first().filter(|_| !self.unfinished.is_empty());
        next.filter(|next| next.after <= self.outcome.lines.len()).copied()
    }

    fn disturb(&mut self) -> Result<()> {
        // One at a time: the workers are heard in between.
        if let Some(disturbance) = self.due() {
            self.disturbances = &self.disturbances[1..];
            match disturbance.blow {
                Blow::Worker(number, action) => {
                    let slot = self.slots.get_mut(number).context("there is no such worker")?;
                    slot.meet(action, &mut self.outcome)?;
                }
                Blow::Rebalance(joins, dies) => {
                    self.kill_and_rise(joins)?;
                    // It may be over before it is seen.
                    let mut tries = 1;
                    while !feed::waits_for_rebalance(&self.outcome.plan)? {
                        tries += 1;
                        ensure!(tries <= 3, "no rebalance is seen");
                        self.kill_and_rise(joins)?;
                    }
                    self.kill_and_rise(dies)?;
                }
                Blow::Around(number) => {
                    if self.letters_gone_at == Some(number) {
                        self.outcome.letters_gone = self.outcome.buried();
                    }
                    let strike = self.around.get_mut(number).context("there is no such blow")?;
                    strike()?;
                    self.outcome.blows += 1;
                }
            }
        }
        Ok(())
    }

    fn kill_and_rise(&mut self, number: usize) -> Result<()> {
        let slot = self.slots.get_mut(number).context("there is no such worker")?;
        slot.meet(Action::Kill, &mut self.outcome)?;
        slot.rise(&mut self.outcome)
    }

    fn look_at_records(&mut self) {
        let store = self.scratch.store();
        for _ in 0..LOOKS {
            // What has ended stays so: it is enough to look at the first that has not.
            let Some(first) = self.unfinished.first() else { return };
            let looked = self.runtime.block_on(store.look(&self.outcome.plan.record(*first)));
            match looked {
                Ok(Some(record)) if matches!(record.state, State::Done | State::Dead) => {
                    self.unfinished.pop_first();
                }
                // A database that is down is asked again.
                _ => return,
            }
        }
    }

    fn describe_unfinished(&self) -> String {
        let store = self.scratch.store();
        let describe = |number: &u32| {
            let looked = self.runtime.block_on(store.look(&self.outcome.plan.record(*number)));
            format!("{}: {looked:?}", Plan::key(*number))
        };
        self.unfinished.iter().map(describe).collect::<Vec<_>>().join("\n")
    }
}
