//! The rounds that every broker and store must live through.

use std::{
    env,
    fmt::Debug,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Result;

use crate::{
    Action, Blow, Disturbance, Event, Fault, Mode, Outcome, Plan, Point, Poison, Round, Strike,
    sums::Sums,
};

/// The rounds that every broker and store must live through. Each method panics with everything that
/// is needed to run the failing round again.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The worker's program: `env!("CARGO_BIN_EXE_crash-worker")`.
    pub worker: &'static str,
    /// Store and broker.
    pub plan: Plan,
}

const MODES: [Mode; 2] = [Mode::Transactional, Mode::Leased];

/// They wait for leases more than they work.
const AT_A_TIME: usize = 4;

impl Suite {
    /// One round for each mode, point and action: the first of two workers meets it in its first two lives.
    ///
    /// # Panics
    /// When something was lost, doubled or stuck, or nothing happened at a point.
    pub fn every_point(&self) {
        let mut rounds = Vec::new();
        for (mode, point, action) in combinations() {
            let mut plan = with_refused(self.plan.mode(mode));
            if matches!(point, Point::BeforeBury | Point::AfterBury) {
                // More, so that the first worker certainly buries one.
                plan.poison =
                    (0..plan.messages).step_by(2).map(|number| (number, Poison::Refuse)).collect();
            }
            let mut round = Round::new(plan, 2);
            round.faults[0] = vec![Fault { point, skip: 0, action }; 2];
            round.staggered = true;
            rounds.push(((mode, point, action), round));
        }
        let mut sums = Sums::of(&self.plan, "every point");
        for ((mode, point, action), outcome) in self.run_all(rounds) {
            sums.add(&outcome);
            let told = |line: &&crate::Line| line.event == Event::At(point, action);
            assert!(outcome.lines.iter().any(|line| told(&line)), "nothing happened at {point:?}");
            let has_written =
                matches!(point, Point::AfterComplete | Point::AfterFail | Point::AfterBury);
            if action == Action::Stop && !has_written {
                let lines = &outcome.lines;
                assert!(outcome.refused() > 0, "{mode:?} {point:?}: no stale write in {lines:?}");
            }
        }
        sums.tell();
    }

    /// Kills and stops from inside and outside, as seeds say: this many rounds, or `STEADFAST_ROUNDS`. The
    /// first seed is `STEADFAST_SEED`, or new each time; it is printed.
    ///
    /// # Panics
    /// When something was lost, doubled, disordered or stuck.
    pub fn random(&self, rounds: u64) {
        let first = number("STEADFAST_SEED").unwrap_or_else(|| rand::random::<u32>().into());
        let rounds = number("STEADFAST_ROUNDS").unwrap_or(rounds);
        println!("to repeat: STEADFAST_SEED={first}");
        let rounds = (0..rounds).map(|round| {
            let seed = first + round;
            let plan = with_refused(self.plan.mode(MODES[usize::from(seed % 2 == 1)]));
            let plan = if self.can_order() && seed % 4 >= 2 { plan.ordered() } else { plan };
            (seed, Round::random(plan, seed))
        });
        let mut sums = Sums::of(&self.plan, "random");
        let mut outcomes = self.run_all(rounds);
        outcomes.sort_by_key(|(seed, _)| *seed);
        for (_, outcome) in &outcomes {
            sums.add(outcome);
        }
        let kills: usize = outcomes.iter().map(|(_, outcome)| outcome.kills).sum();
        sums.tell();
        assert!(kills >= outcomes.len(), "these seeds kill too little to prove anything");
    }

    /// Larger rounds, in both modes and in order too where the broker is a real one, in which these blows
    /// fall, each after so many lines.
    ///
    /// # Panics
    /// When something was lost, doubled, disordered or stuck, or a round was over before a blow.
    pub fn struck(&self, blows: &[(usize, Blow)], around: &mut [Strike<'_>]) {
        let mut sums = Sums::of(&self.plan, "struck");
        let expected = blows.iter().filter(|(_, blow)| matches!(blow, Blow::Around(_))).count();
        let kills = blows.iter().map(|(_, blow)| blow.kills()).sum::<usize>();
        for (seed, plan) in self.larger().into_iter().enumerate() {
            let mut round = Round::new(Plan { seed: seed as u64, messages: 600, ..plan }, 3);
            let disturbance =
                |(after, blow): &(usize, Blow)| Disturbance { after: *after, blow: *blow };
            round.disturbances = blows.iter().map(disturbance).collect();
            let outcome = round.run(self.worker, around);
            let outcome = outcome.unwrap_or_else(|problem| panic!("{problem:?}"));
            judge(&round, &outcome);
            assert_eq!(outcome.blows, expected, "the round was over before");
            assert!(outcome.kills >= kills, "the round was over before");
            sums.add(&outcome);
        }
        sums.tell();
    }

    /// Larger rounds with poison, in both modes, whose dead letters are deleted while some are on their way
    /// there, and declared again later: the functions are given their name.
    ///
    /// # Panics
    /// When something was lost, doubled or stuck, or a letter lies neither in the new place nor was confirmed by
    /// the old one.
    pub fn letters_deleted(
        &self,
        delete: impl Fn(&str) -> Result<()>,
        declare: impl Fn(&str) -> Result<()>,
    ) {
        /// Nobody can confirm a letter, and all that were are told by its end.
        const GONE: Duration = Duration::from_secs(3);
        let mut sums = Sums::of(&self.plan, "dead letters deleted");
        for mode in MODES {
            let topic = Some(format!("crash.deleted.{:08x}", rand::random::<u32>()));
            let plan = with_refused(Plan { messages: 1000, topic, ..self.plan.mode(mode) });
            let (dead, letters) = (plan.dead_letters(), plan.poison.len());
            let mut round = Round::new(plan, 3);
            round.disturbances =
                [0, 1].map(|blow| Disturbance { after: 200, blow: Blow::Around(blow) }).into();
            round.letters_gone_at = Some(1);
            let mut delete = || {
                delete(&dead)?;
                thread::sleep(GONE);
                Ok(())
            };
            let outcome = round.run(self.worker, &mut [&mut delete, &mut || declare(&dead)]);
            let outcome = outcome.unwrap_or_else(|problem| panic!("{problem:?}"));
            judge(&round, &outcome);
            let gone = outcome.letters_gone.len();
            assert!(
                outcome.blows == 2 && gone > 0 && gone < letters,
                "{gone} of {letters} were gone"
            );
            sums.add(&outcome);
        }
        sums.tell();
    }

    fn larger(&self) -> Vec<Plan> {
        let ordered = |plan: &Plan| if self.can_order() { plan.ordered() } else { plan.clone() };
        let plain = MODES.map(|mode| self.plan.mode(mode));
        plain.iter().cloned().chain(plain.iter().map(ordered)).collect()
    }

    /// The mock broker is one in each worker.
    fn can_order(&self) -> bool {
        self.plan.broker != "mock"
    }

    /// Every kind of message that no attempt can end well, alone in its worker, so that nobody else
    /// pays for one that aborts the process. All are dead-lettered, as they were published.
    ///
    /// # Panics
    /// When one is not dead-lettered after exactly its attempts, byte for byte and with its headers, or
    /// something was lost, doubled or stuck.
    pub fn poison(&self) {
        let poison = [
            (1, Poison::Fail),
            (3, Poison::Abort),
            (5, Poison::Panic),
            (7, Poison::Garbage),
            (9, Poison::Refuse),
        ];
        for mode in MODES {
            let mut plan = self.plan.mode(mode);
            (plan.messages, plan.concurrency) = (12, 1);
            (plan.max_attempts, plan.poison) = (3, poison.into());
            // An attempt that is cancelled on a slow machine is one abort less.
            plan.lease = Duration::from_secs(3);
            for ((), outcome) in self.run_all([((), Round::new(plan.clone(), 2))]) {
                assert_eq!(outcome.aborts, 3, "{mode:?}");
                if self.can_order() {
                    assert_eq!(outcome.letters.numbers(), plan.poison.keys().copied().collect());
                }
            }
        }
    }

    /// One worker's clock is ten seconds ahead, one's ten seconds behind; leases last half of what lies between. Undisturbed
    /// nobody takes a record from another; disturbed nothing is doubled.
    ///
    /// # Panics
    /// When something was lost, doubled or stuck.
    pub fn skewed_clocks(&self) {
        let kill = Fault { point: Point::AfterEffect, skip: 1, action: Action::Kill };
        let stop = Fault { action: Action::Stop, ..kill };
        let mut rounds = Vec::new();
        for mode in MODES {
            let mut plan = self.plan.mode(mode);
            plan.lease = Duration::from_secs(9);
            let mut round = Round::new(plan, 3);
            round.clocks = vec![10, -10, 0];
            let mut disturbed = round.clone();
            // The stopped one leaves the others to work until its leases are over.
            disturbed.faults = vec![vec![stop], vec![kill], vec![]];
            disturbed.staggered = true;
            rounds.extend([((mode, false), round), ((mode, true), disturbed)]);
        }
        for ((mode, disturbed), outcome) in self.run_all(rounds) {
            if disturbed {
                assert_eq!((outcome.kills, outcome.stops), (1, 1), "{mode:?}");
            } else {
                assert_eq!((outcome.repeats(), outcome.refused()), (0, 0), "{mode:?}");
            }
        }
    }

    /// Runs them all and judges each. The first failure ends it.
    fn run_all<T: Debug + Send>(
        &self,
        rounds: impl IntoIterator<Item = (T, Round), IntoIter: Send>,
    ) -> Vec<(T, Outcome)> {
        let waiting = Mutex::new(rounds.into_iter());
        let ended = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| {
                    loop {
                        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some((name, round)) = next else { return };
                        let outcome = round.run(self.worker, &mut []);
                        let outcome =
                            outcome.unwrap_or_else(|problem| panic!("{name:?}: {problem:?}"));
                        judge(&round, &outcome);
                        let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                        ended.push((name, outcome));
                    }
                });
            }
        });
        ended.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an environment variable says, if it is set.
fn number(variable: &str) -> Option<u64> {
    let said = env::var(variable).ok()?;
    Some(said.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {said}")))
}

/// With messages that are dead-lettered without being tried again.
fn with_refused(mut plan: Plan) -> Plan {
    plan.poison = (2..plan.messages).step_by(5).map(|number| (number, Poison::Refuse)).collect();
    plan
}

fn combinations() -> impl Iterator<Item = (Mode, Point, Action)> {
    MODES.into_iter().flat_map(|mode| {
        Point::ALL
            .into_iter()
            .flat_map(move |point| [Action::Kill, Action::Stop].map(|action| (mode, point, action)))
    })
}

fn judge(round: &Round, outcome: &Outcome) {
    let complaints = outcome.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}\nin {round:#?}");
}
