//! Counts what is handled and what is settled.

use std::{
    hint::black_box,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use steadfast::Message;
use tokio::{task::JoinHandle, time::interval};

use crate::{Order, process};

/// Measures from the first settled messages, which warm up, to the last, and no longer than five
/// seconds. All sides of a comparison count with one of these, so it costs all the same.
#[derive(Clone)]
pub struct Meter(Arc<Inner>);

struct Inner {
    warm: u64,
    goal: u64,
    counts: fn(&Message) -> bool,
    handled: AtomicU64,
    settled: AtomicU64,
    began: OnceLock<Mark>,
    ended: OnceLock<Mark>,
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Messages that were settled in a second.
    pub rate: f64,
    /// Processor time that this process has used for each, in microseconds.
    pub cost: f64,
}

/// How many were settled at some time.
struct Mark {
    at: Instant,
    settled: u64,
    processor: Result<f64>,
}

/// The longest time that is measured.
const LONGEST: Duration = Duration::from_secs(5);

/// How long the first messages may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(60);

impl Meter {
    /// Of a run that ends with this many messages, the first tenth of which warm up.
    pub fn new(goal: u64) -> Self {
        Self::of(|_| true, goal / 10, goal)
    }

    /// Of these messages only: as many to warm up, as many until the end.
    pub fn of(counts: fn(&Message) -> bool, warm: u64, goal: u64) -> Self {
        let (handled, settled) = <(AtomicU64, AtomicU64)>::default();
        let (began, ended) = <(OnceLock<Mark>, OnceLock<Mark>)>::default();
        Self(Arc::new(Inner { warm, goal, counts, handled, settled, began, ended }))
    }

    /// What a handler does with a message.
    pub fn handled(&self, order: &Order) {
        black_box(order);
        self.0.handled.fetch_add(1, Relaxed);
    }

    /// Whether this message counts.
    pub(crate) fn counts(&self, message: &Message) -> bool {
        (self.0.counts)(message)
    }

    /// Counts messages that are settled.
    pub fn settled(&self, messages: u64) {
        let before = self.0.settled.fetch_add(messages, Relaxed);
        let settled = before + messages;
        let passes = |mark: u64| before < mark && mark <= settled;
        if passes(self.0.warm) {
            mark(&self.0.began, settled);
        }
        if passes(self.0.goal) {
            mark(&self.0.ended, settled);
        }
    }

    /// Whether nothing more is measured.
    pub fn is_over(&self) -> bool {
        self.0.ended.get().is_some()
    }

    /// Measures this work. It ends when it is stopped, or when it sees that the measurement
    /// [is over](Self::is_over).
    ///
    /// # Errors
    /// Those of the work; and when it settles too little.
    pub async fn measure(
        &self,
        mut work: JoinHandle<Result<()>>,
        stop: impl FnOnce(),
    ) -> Result<Measured> {
        let asked = Instant::now();
        let mut look = interval(Duration::from_millis(5));
        while !self.is_over() {
            tokio::select! {
                ended = &mut work => {
                    ended??;
                    return self.measured();
                }
                _ = look.tick() => {}
            }
            match self.0.began.get() {
                Some(began) if began.at.elapsed() >= LONGEST => {
                    mark(&self.0.ended, self.0.settled.load(Relaxed));
                }
                Some(_) => {}
                None => ensure!(asked.elapsed() < PATIENCE, "too little is settled to measure it"),
            }
        }
        stop();
        work.await??;
        self.measured()
    }

    fn measured(&self) -> Result<Measured> {
        let marks = self.0.began.get().zip(self.0.ended.get());
        let (began, ended) = marks.context("it ended before everything was settled")?;
        let processor = |mark: &Mark| match &mark.processor {
            Ok(seconds) => Ok(*seconds),
            Err(error) => Err(anyhow::anyhow!("processor time: {error}")),
        };
        let settled = (ended.settled - began.settled) as f64;
        ensure!(self.0.handled.load(Relaxed) >= ended.settled, "some were settled unhandled");
        Ok(Measured {
            rate: settled / (ended.at - began.at).as_secs_f64(),
            cost: (processor(ended)? - processor(began)?) * 1e6 / settled,
        })
    }
}

fn mark(mark: &OnceLock<Mark>, settled: u64) {
    mark.get_or_init(|| Mark { at: Instant::now(), settled, processor: process::processor() });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_warms_up_is_not_measured() {
        let meter = Meter::new(100);
        meter.settled(9);
        assert!(meter.0.began.get().is_none());
        meter.settled(3);
        assert_eq!(meter.0.began.get().map(|mark| mark.settled), Some(12));
        meter.settled(87);
        assert!(!meter.is_over());
        meter.settled(5);
        assert_eq!(meter.0.ended.get().map(|mark| mark.settled), Some(104));
    }
}
