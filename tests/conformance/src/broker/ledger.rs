//! What the handlers and consumers of a case have done.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use steadfast::Outcome;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

/// Runs of handlers and outcomes of deliveries, in the order in which they happened. Clones share
/// them.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Inner>);

#[derive(Default)]
struct Inner {
    book: Mutex<Book>,
    written: Notify,
}

#[derive(Default)]
struct Book {
    /// Counts the entries, so that what comes first has the smaller number even where no time
    /// passes in between.
    entries: usize,
    runs: Vec<Run>,
    outcomes: Vec<(String, Outcome)>,
}

/// One run of a handler.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) member: &'static str,
    pub(crate) text: String,
    pub(crate) key: Option<Bytes>,
    pub(crate) attempt: u32,
    pub(crate) began: Moment,
    pub(crate) ended: Option<(Moment, End)>,
}

/// When something was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    entry: usize,
    pub(crate) at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Succeeded,
    Failed,
    /// Its future was dropped, or it panicked.
    Dropped,
}

impl Ledger {
    /// Enters the beginning of a run; its number is for [`Ledger::end`].
    pub(crate) fn begin(
        &self,
        member: &'static str,
        text: &str,
        key: Option<Bytes>,
        attempt: u32,
    ) -> usize {
        self.write(|book| {
            let (began, text) = (book.moment(), text.to_owned());
            book.runs.push(Run { member, text, key, attempt, began, ended: None });
            book.runs.len() - 1
        })
    }

    pub(crate) fn end(&self, run: usize, end: End) {
        self.write(|book| {
            let now = book.moment();
            book.runs[run].ended.get_or_insert((now, end));
        });
    }

    pub(crate) fn settled_as(&self, text: String, outcome: Outcome) {
        self.write(|book| book.outcomes.push((text, outcome)));
    }

    pub(crate) fn runs(&self) -> Vec<Run> {
        self.book().runs.clone()
    }

    pub(crate) fn runs_of(&self, text: &str) -> Vec<Run> {
        self.book().runs.iter().filter(|run| run.text == text).cloned().collect()
    }

    /// The attempts of a message, as its handler was told.
    pub(crate) fn attempts_of(&self, text: &str) -> Vec<u32> {
        self.runs_of(text).iter().map(|run| run.attempt).collect()
    }

    /// The texts of the runs that succeeded, in the order in which they did.
    pub(crate) fn succeeded(&self) -> Vec<String> {
        let mut ends: Vec<_> = self
            .runs()
            .into_iter()
            .filter_map(|run| match run.ended {
                Some((moment, End::Succeeded)) => Some((moment, run.text)),
                _ => None,
            })
            .collect();
        ends.sort();
        ends.into_iter().map(|(_, text)| text).collect()
    }

    pub(crate) fn has_succeeded(&self, text: &str) -> bool {
        self.succeeded().iter().any(|succeeded| succeeded == text)
    }

    pub(crate) fn have_succeeded<T: AsRef<str>>(&self, texts: &[T]) -> bool {
        let succeeded = self.succeeded();
        texts.iter().all(|text| succeeded.iter().any(|other| other == text.as_ref()))
    }

    /// What became of the deliveries of a message.
    pub(crate) fn outcomes_of(&self, text: &str) -> Vec<Outcome> {
        let book = self.book();
        let of_text = book.outcomes.iter().filter(|(of, _)| of == text);
        of_text.map(|(_, outcome)| outcome.clone()).collect()
    }

    /// Expects that of the runs for which this is the same no two were under way at once.
    pub(crate) fn assert_never_at_once<T: PartialEq>(&self, same: impl Fn(&Run) -> T) {
        let runs = self.runs();
        for (index, run) in runs.iter().enumerate() {
            let other = runs[..index].iter().find(|o| same(o) == same(run) && o.overlaps(run));
            assert!(other.is_none(), "at the same time: {run:?} and {other:?}");
        }
    }

    /// Waits for a condition, and fails the case with what did happen when it has not come in time.
    pub(crate) async fn until(
        &self,
        limit: Duration,
        what: &str,
        condition: impl Fn(&Self) -> bool,
    ) {
        let holds = async {
            loop {
                let written = self.0.written.notified();
                if condition(self) {
                    return;
                }
                written.await;
            }
        };
        if timeout(limit, holds).await.is_err() {
            panic!("waited {limit:?} in vain until {what}\n{}", self.tell());
        }
    }

    fn tell(&self) -> String {
        let book = self.book();
        let mut told = String::new();
        for Run { member, text, attempt, ended, .. } in book.runs.iter().rev().take(TOLD).rev() {
            let ended = ended.map_or("runs".into(), |(_, end)| format!("{end:?}"));
            let _ = writeln!(told, "  {member} ran {text:?}, attempt {attempt}: {ended}");
        }
        for (text, outcome) in book.outcomes.iter().rev().take(TOLD).rev() {
            let _ = writeln!(told, "  {text:?} came out as {outcome:?}");
        }
        told
    }

    fn write<R>(&self, entry: impl FnOnce(&mut Book) -> R) -> R {
        let result = entry(&mut self.book());
        self.0.written.notify_waiters();
        result
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn moment(&mut self) -> Moment {
        self.entries += 1;
        Moment { entry: self.entries, at: Instant::now() }
    }
}

impl Run {
    /// Whether both were under way at the same time.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let before =
            |one: &Self, other: &Self| one.ended.is_some_and(|(ended, _)| ended < other.began);
        !before(self, other) && !before(other, self)
    }
}

/// How many of the last entries are told.
const TOLD: usize = 40;
