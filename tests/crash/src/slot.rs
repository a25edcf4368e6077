//! One worker of a round, through all its lives.

use std::{
    collections::{BTreeMap, VecDeque},
    os::unix::process::ExitStatusExt as _,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use steadfast_test_servers::{Process, skew_clock};

use crate::{Action, Event, Fault, Line, Outcome, Plan};

pub(crate) struct Slot {
    plan: Plan,
    program: String,
    clock: i32,
    /// Of the lives to come.
    faults: VecDeque<Fault>,
    process: Process,
    /// What this life has claimed and not ended: message and fence.
    held: BTreeMap<u32, u64>,
    stopped: Option<Instant>,
    /// It has come to a fault of its own.
    struck: bool,
    /// It listens for SIGTERM, which would kill it before.
    listens: bool,
}

/// What it said before it stopped is in the pipe by then.
const SETTLE: Duration = Duration::from_millis(50);

/// A worker that is asked to end waits for its handlers, at most for the drain deadline of 20 s.
const FAREWELL: Duration = Duration::from_secs(60);

impl Slot {
    pub(crate) fn start(
        plan: &Plan,
        number: usize,
        faults: &[Fault],
        clock: i32,
        program: &str,
    ) -> Result<Self> {
        let mut plan = plan.clone();
        plan.worker = u32::try_from(number)?;
        let mut faults: VecDeque<_> = faults.iter().copied().collect();
        plan.fault = faults.pop_front();
        let process = spawn(program, &plan, clock)?;
        let program = program.to_owned();
        Ok(Self {
            plan,
            program,
            clock,
            faults,
            process,
            held: BTreeMap::new(),
            stopped: None,
            struck: false,
            listens: false,
        })
    }

    /// Notes what it has said.
    pub(crate) fn hear(&mut self, outcome: &mut Outcome) {
        let lines: Vec<_> = self.process.lines().collect();
        self.note(lines, outcome);
    }

    fn note(&mut self, lines: Vec<String>, outcome: &mut Outcome) {
        for line in lines.iter().filter_map(|line| Line::read(line)) {
            let number = line.key.trim_start_matches("m-").parse().unwrap_or(u32::MAX);
            match line.event {
                Event::Claimed => {
                    self.held.insert(number, line.fence);
                }
                Event::At(_, action) => {
                    self.struck = true;
                    if action == Action::Stop {
                        self.stopped = Some(Instant::now());
                        outcome.stops += 1;
                    }
                }
                Event::Started => self.listens = true,
                Event::Aborting => {}
                _ if self.held.get(&number) == Some(&line.fence) => {
                    self.held.remove(&number);
                }
                _ => {}
            }
            outcome.lines.push(line);
        }
    }

    /// Something from outside happens to it.
    pub(crate) fn meet(&mut self, action: Action, outcome: &mut Outcome) -> Result<()> {
        match action {
            Action::Kill => {
                self.process.kill()?;
                self.listens = false;
            }
            // It may have ended by its own hand just now.
            Action::Stop if self.stopped.is_none() && self.process.pause().is_ok() => {
                self.stopped = Some(Instant::now());
                outcome.stops += 1;
            }
            Action::Stop => {}
        }
        Ok(())
    }

    /// Begins its next life when it was killed.
    pub(crate) fn live_on(&mut self, outcome: &mut Outcome) -> Result<()> {
        let Some(status) = self.process.ended()? else { return Ok(()) };
        match status.signal().map(Signal::try_from) {
            Some(Ok(Signal::SIGKILL)) => outcome.kills += 1,
            Some(Ok(Signal::SIGABRT)) => outcome.aborts += 1,
            _ => bail!("worker {} ended by itself: {status}", self.plan.worker),
        }
        let last_words = self.process.lines_to_the_end().collect();
        self.note(last_words, outcome);
        self.held.clear();
        self.stopped = None;
        self.listens = false;
        self.plan.fault = self.faults.pop_front();
        self.process = spawn(&self.program, &self.plan, self.clock)?;
        Ok(())
    }

    /// Continues it when it was stopped for so long that all that it held has another owner, or has
    /// ended. Where nobody is left to take over, its leases being over is enough.
    pub(crate) fn go_on_when_others_have(
        &mut self,
        taken_over: impl Fn((u32, u64)) -> bool,
        nobody_is_left: bool,
    ) -> Result<()> {
        let Some(stopped) = self.stopped.map(|since| since.elapsed()) else { return Ok(()) };
        let is_over = nobody_is_left && stopped > 2 * self.plan.lease;
        let mut held = self.held.iter().map(|(number, fence)| (*number, *fence));
        // It says that it will stop before it does.
        if self.process.is_paused()? && (is_over || (stopped > SETTLE && held.all(taken_over))) {
            self.process.resume()?;
            self.stopped = None;
        }
        Ok(())
    }

    /// Waits until it has begun its next life.
    pub(crate) fn rise(&mut self, outcome: &mut Outcome) -> Result<()> {
        let deadline = Instant::now() + FAREWELL;
        while !self.listens {
            ensure!(Instant::now() < deadline, "a worker did not start");
            self.live_on(outcome)?;
            self.hear(outcome);
            thread::sleep(SETTLE);
        }
        Ok(())
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Whether it has come to a fault of its own, in this life or another.
    pub(crate) fn was_struck(&self) -> bool {
        self.struck
    }

    /// Asks it to end, and waits.
    pub(crate) fn end(&mut self, outcome: &mut Outcome) -> Result<()> {
        while !self.listens {
            let line = self.process.line(FAREWELL).context("a worker did not start")?;
            self.note(vec![line], outcome);
        }
        // Its last completion may be where it kills or stops itself.
        let asked = self.process.terminate();
        let deadline = Instant::now() + FAREWELL;
        let status = loop {
            if let Some(status) = self.process.ended()? {
                break status;
            }
            ensure!(Instant::now() < deadline, "a worker did not end when it was asked to");
            let _ = self.process.resume();
            thread::sleep(SETTLE);
        };
        let last_words = self.process.lines_to_the_end().collect();
        self.note(last_words, outcome);
        if status.signal() == Some(Signal::SIGKILL as i32) {
            outcome.kills += 1;
            return Ok(());
        }
        asked.context("a worker ended by itself")?;
        ensure!(status.success(), "worker {} ended with {status}", self.plan.worker);
        Ok(())
    }
}

fn spawn(program: &str, plan: &Plan, clock: i32) -> Result<Process> {
    let mut command = Command::new(program);
    command.arg(serde_json::to_string(plan)?);
    if clock != 0 {
        skew_clock(&mut command, clock)?;
    }
    Process::spawn(command)
}
