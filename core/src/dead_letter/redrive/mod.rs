//! Putting dead letters back: filtered, at a rate, dry run first, and safe to repeat.

mod report;
mod run;

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

pub use self::report::{RedriveError, RedriveReport};
use self::run::Run;
use super::Story;
use crate::{broker::Broker, store::Store};

/// A redrive of the dead letters of one destination.
///
/// Each letter keeps its dedup key. Its record is re-armed first, then the message is published to
/// where it came from and confirmed, then the letter is settled: a redrive that is broken off at
/// any point can be run again, and runs nothing twice. Letters that are not redriven stay.
///
/// ```no_run
/// # async fn f(broker: std::sync::Arc<dyn steadfast::broker::Broker>,
/// #            store: std::sync::Arc<dyn steadfast::store::Store>)
/// #            -> Result<(), steadfast::RedriveError> {
/// use steadfast::{Reason, Redrive};
///
/// let redrive = Redrive::of(broker, "orders.placed.dead")
///     .store(store)
///     .only(|story| story.reason == Reason::Exhausted)
///     .per_second(20);
/// println!("{}", redrive.dry_run(std::future::pending()).await?);
/// println!("{}", redrive.run(std::future::pending()).await?);
/// # Ok(())
/// # }
/// ```
pub struct Redrive {
    broker: Arc<dyn Broker>,
    /// Where the messages came from.
    source: Arc<dyn Broker>,
    destination: String,
    group: String,
    store: Option<Arc<dyn Store>>,
    only: Box<Filter>,
    per_second: u32,
    max_redrives: u32,
    most: usize,
    max_bytes: usize,
    idle: Duration,
}

type Filter = dyn Fn(&Story) -> bool + Send + Sync;

impl Redrive {
    /// A redrive of this topic or queue: all letters, at most 10 a second, none that has been
    /// redriven three times.
    pub fn of(broker: Arc<dyn Broker>, destination: impl Into<String>) -> Self {
        Self {
            source: Arc::clone(&broker),
            broker,
            destination: destination.into(),
            group: "steadfast-redrive".to_owned(),
            store: None,
            only: Box::new(|_| true),
            per_second: 10,
            max_redrives: 3,
            most: 10_000,
            max_bytes: 64 << 20,
            idle: Duration::from_secs(5),
        }
    }

    /// Sets the broker that the messages came from, where it is not the one that has the letters: for a consumer
    /// with [`dead_letter_on`](crate::Builder::dead_letter_on).
    #[must_use]
    pub fn source_on(mut self, broker: Arc<dyn Broker>) -> Self {
        self.source = broker;
        self
    }

    /// Sets the store that holds the records.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Sets which letters to redrive.
    #[must_use]
    pub fn only(mut self, filter: impl Fn(&Story) -> bool + Send + Sync + 'static) -> Self {
        self.only = Box::new(filter);
        self
    }

    /// Sets the rate, at least 1. A redrive at full speed is the next outage.
    #[must_use]
    pub fn per_second(mut self, rate: u32) -> Self {
        self.per_second = rate.max(1);
        self
    }

    /// Sets how often one message may be redriven.
    #[must_use]
    pub fn max_redrives(mut self, times: u32) -> Self {
        self.max_redrives = times;
        self
    }

    /// Sets how many letters one run may look at: those that stay are held until it ends. On Kafka no more of
    /// one partition than its `max_unsettled_per_partition`.
    #[must_use]
    pub fn most(mut self, letters: usize) -> Self {
        self.most = letters.max(1);
        self
    }

    /// Sets how many bytes the letters that stay may have together; 64 MiB without this setting. A run that
    /// comes to it ends, and its report says so ([`RedriveReport::full`]).
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes.max(1);
        self
    }

    /// Sets the group under which the letters are read, on brokers that have groups.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// Counts what [`Redrive::run`] would do, and changes nothing. Ends early with `stop`.
    ///
    /// # Errors
    /// [`RedriveError::Source`].
    pub async fn dry_run(
        &self,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<RedriveReport, RedriveError> {
        self.go(stop, true).await
    }

    /// Redrives until no letter has come for five seconds and none waits, or `stop` is ready. The first letter
    /// is waited for up to a minute where the broker cannot tell whether there is one.
    ///
    /// # Errors
    /// See [`RedriveError`]. The report of what was done until then is lost, the letters are not.
    pub async fn run(
        &self,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<RedriveReport, RedriveError> {
        self.go(stop, false).await
    }

    async fn go(
        &self,
        stop: impl Future<Output = ()> + Send,
        dry: bool,
    ) -> Result<RedriveReport, RedriveError> {
        let mut run = Run::begin(self, dry).await?;
        let ended = run.all(pin!(stop)).await;
        run.end().await;
        ended
    }
}
