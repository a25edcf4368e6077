//! Putting dead letters back: filtered, at a rate, dry run first, and safe to repeat.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::Story;
use crate::{
    Delivery, Message,
    broker::{
        BoxError, Broker, BrokerError, Demand, Hold, Publish, PublishError, Settle, Settlement,
        Source, Subscription,
    },
    headers,
    store::{Store, StoreError},
};

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
    destination: String,
    group: String,
    store: Option<Arc<dyn Store>>,
    only: Box<Filter>,
    per_second: u32,
    max_redrives: u32,
    most: usize,
    idle: Duration,
}

type Filter = dyn Fn(&Story) -> bool + Send + Sync;

/// What a redrive did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedriveReport {
    /// Letters that were published again, or would be.
    pub redriven: usize,
    /// Letters that the filter left where they are.
    pub filtered: usize,
    /// Letters left because they had been redriven as often as allowed.
    pub too_often: usize,
    /// Letters left because they cannot be redriven: no story, or a payload that was cut.
    pub unfit: usize,
    /// Letters left because this very run had put them back, and they were given up again.
    pub died_again: usize,
}

impl fmt::Display for RedriveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { redriven, filtered, too_often, unfit, died_again } = self;
        write!(
            f,
            "redriven={redriven} filtered={filtered} too_often={too_often} unfit={unfit} \
             died_again={died_again}"
        )
    }
}

/// Why a redrive stopped. What it had not redriven by then is still in the dead letters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedriveError {
    /// The dead letters cannot be read.
    #[error("cannot read the dead letters")]
    Source(#[source] BrokerError),
    /// The message could not be published again.
    #[error("cannot publish to {destination}")]
    Publish {
        /// Where to.
        destination: String,
        /// Why not.
        #[source]
        error: PublishError,
    },
    /// The record could not be re-armed.
    #[error("cannot re-arm the record")]
    Store(#[source] StoreError),
    /// A letter has a record, but no store was given: without re-arming it, the redriven message
    /// would be taken for a duplicate.
    #[error("the dead letters of {consumer} have records: give the redrive their store")]
    NeedsStore {
        /// The consumer that gave the message up.
        consumer: String,
    },
    /// The letter could not be settled after its message was published. Running again is safe.
    #[error("cannot settle a dead letter")]
    Settle(#[source] BoxError),
}

impl Redrive {
    /// A redrive of this topic or queue: all letters, at most 10 a second, none that has been
    /// redriven three times.
    pub fn of(broker: Arc<dyn Broker>, destination: impl Into<String>) -> Self {
        Self {
            broker,
            destination: destination.into(),
            group: "steadfast-redrive".to_owned(),
            store: None,
            only: Box::new(|_| true),
            per_second: 10,
            max_redrives: 3,
            most: 10_000,
            idle: Duration::from_secs(5),
        }
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

    /// Sets how many letters one run may look at: those that stay are held until it ends.
    #[must_use]
    pub fn most(mut self, letters: usize) -> Self {
        self.most = letters.max(1);
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

    /// Redrives until no letter has come for five seconds, or `stop` is ready.
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
        let publisher = self.broker.publisher().await.map_err(RedriveError::Source)?;
        let subscription =
            Subscription::new(&self.destination, &self.group).max_messages(self.most);
        let source = self.broker.subscribe(&subscription).await.map_err(RedriveError::Source)?;
        let mark = format!("{:032x}", rand::random::<u128>());
        let mut run = Run { redrive: self, dry, mark, publisher, source, kept: Kept::default() };
        let ended = run.all(pin!(stop)).await;
        let kept = std::mem::take(&mut run.kept.deliveries);
        let back: Vec<_> =
            kept.into_iter().map(|kept| Settle::new(kept, Settlement::Release)).collect();
        // Those that cannot be handed back come back when their hold ends.
        let _ = run.source.settle(&back).await;
        run.source.close().await;
        ended
    }
}

struct Run<'a> {
    redrive: &'a Redrive,
    dry: bool,
    /// Marks what this run puts back, so that it does not chase its own tail.
    mark: String,
    publisher: Arc<dyn Publish>,
    source: Arc<dyn Source>,
    kept: Kept,
}

/// Letters that stay: held to the end, so that the broker does not hand them out again meanwhile.
#[derive(Default)]
struct Kept {
    deliveries: Vec<Delivery>,
    extended: Option<Instant>,
}

impl Run<'_> {
    async fn all(
        &mut self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<RedriveReport, RedriveError> {
        let mut report = RedriveReport::default();
        let mut pace = tokio::time::interval(Duration::from_secs(1) / self.redrive.per_second);
        let mut ended = false;
        while !ended && report.seen() < self.redrive.most {
            let source = Arc::clone(&self.source);
            let mut receiving = source.receive(Demand::new(1, usize::MAX));
            let received = tokio::select! {
                biased;
                received = &mut receiving => received,
                () = idle_or(stop.as_mut(), self.redrive.idle) => {
                    ended = true;
                    source.stop().await;
                    receiving.await
                }
            };
            for letter in received.map_err(RedriveError::Source)? {
                self.hold().await;
                if !self.dry && !ended {
                    tokio::select! {
                        biased;
                        () = stop.as_mut() => ended = true,
                        _ = pace.tick() => {}
                    }
                }
                match ended {
                    true => self.kept.deliveries.push(letter),
                    false => self.one(letter, &mut report).await?,
                }
            }
        }
        Ok(report)
    }

    async fn one(
        &mut self,
        letter: Delivery,
        report: &mut RedriveReport,
    ) -> Result<(), RedriveError> {
        let story = Story::read(&letter.message);
        let original = story.as_ref().and_then(|story| story.original(&letter.message));
        let marked = letter.message.headers.text(headers::REDRIVE_RUN) == Some(&self.mark);
        let count = match (&story, original) {
            _ if marked => &mut report.died_again,
            (Some(story), _) if !(self.redrive.only)(story) => &mut report.filtered,
            (Some(story), _) if story.redrives >= self.redrive.max_redrives => {
                &mut report.too_often
            }
            (Some(story), Some(mut original)) => {
                original.headers.set(headers::REDRIVE_RUN, self.mark.clone());
                if self.dry {
                    self.kept.deliveries.push(letter);
                } else {
                    self.put_back(letter, story, &original).await?;
                }
                report.redriven += 1;
                return Ok(());
            }
            _ => &mut report.unfit,
        };
        *count += 1;
        self.kept.deliveries.push(letter);
        Ok(())
    }

    async fn put_back(
        &mut self,
        letter: Delivery,
        story: &Story,
        original: &Message,
    ) -> Result<(), RedriveError> {
        if let Some(record) = &story.record {
            let Some(store) = &self.redrive.store else {
                self.kept.deliveries.push(letter);
                return Err(RedriveError::NeedsStore { consumer: story.consumer.clone() });
            };
            // A record that is not dead any more was re-armed by a run that was broken off.
            let _ = store.rearm(record, story.fence).await.map_err(RedriveError::Store)?;
        }
        let destination = story.origin.source.to_string();
        if let Err(error) = self.publisher.publish(&destination, original).await {
            self.kept.deliveries.push(letter);
            return Err(RedriveError::Publish { destination, error });
        }
        let settled = self.source.settle(&[Settle::new(letter, Settlement::Ack)]).await;
        match settled.into_iter().next() {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(RedriveError::Settle(error.into())),
            None => Err(RedriveError::Settle("the source gave no answer".into())),
        }
    }

    /// Extends the holds of what stays.
    async fn hold(&mut self) {
        let Hold::Extendable { each, .. } = self.source.capabilities().hold else { return };
        let now = Instant::now();
        if *self.kept.extended.get_or_insert(now) + each / 3 <= now {
            let receipts: Vec<_> = self.kept.deliveries.iter().map(|kept| kept.receipt).collect();
            // One that is lost comes back to the broker earlier: it stays in any case.
            let _ = self.source.extend(&receipts).await;
            self.kept.extended = Some(now);
        }
    }
}

impl RedriveReport {
    fn seen(&self) -> usize {
        self.redriven + self.filtered + self.too_often + self.unfit + self.died_again
    }
}

async fn idle_or(stop: Pin<&mut impl Future<Output = ()>>, idle: Duration) {
    tokio::select! {
        biased;
        () = stop => {}
        () = tokio::time::sleep(idle) => {}
    }
}
