//! One run of a redrive.

use std::{collections::HashSet, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, timeout};

use super::{Redrive, RedriveError, RedriveReport};
use crate::{
    Delivery, Message, Receipt, Story,
    broker::{Demand, Hold, Publish, Settle, Settlement, Source, Subscription},
    clock::{period, reach},
    headers,
};

/// How long the next letter is waited for at most, though there may be one.
const LONGEST: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(5);

/// The letters of one run, from receipt to settlement.
pub(super) struct Run<'a> {
    redrive: &'a Redrive,
    dry: bool,
    /// Marks what this run puts back, so that it does not chase its own tail.
    mark: String,
    publisher: Arc<dyn Publish>,
    source: Arc<dyn Source>,
    /// The letters that have come, so that one that comes again is not counted again.
    seen: HashSet<String>,
    kept: Kept,
}

/// Whether letters wait, or the broker cannot tell and none has come yet: a group may let nobody in until a
/// member that was killed is missed.
async fn may_bring_more(source: &dyn Source, patience: Duration, seen: usize) -> bool {
    match timeout(patience, source.backlog()).await {
        Ok(Ok(Some(waiting))) => waiting > 0,
        _ => seen == 0,
    }
}

/// Letters that stay: held to the end, so that the broker does not hand them out again meanwhile.
struct Kept {
    deliveries: Vec<Delivery>,
    bytes: usize,
    largest: usize,
    extended: Instant,
}

impl Kept {
    fn keep(&mut self, letter: Delivery) {
        let size = letter.message.size();
        self.bytes += size;
        self.largest = self.largest.max(size);
        self.deliveries.push(letter);
    }

    /// Whether another one may be more than the source hands out.
    fn is_full(&self, max_bytes: usize) -> bool {
        self.bytes + self.largest > max_bytes
    }

    /// The same for a source that takes all to be as large as the largest.
    fn may_fill(&self, max_bytes: usize) -> bool {
        (self.deliveries.len() + 1).saturating_mul(self.largest) > max_bytes
    }
}

impl<'a> Run<'a> {
    pub(super) async fn begin(redrive: &'a Redrive, dry: bool) -> Result<Self, RedriveError> {
        let broker = &redrive.broker;
        let publisher = redrive.source.publisher().await.map_err(RedriveError::Source)?;
        // A source of partitions lets none hold more than half.
        let subscription = Subscription::new(&redrive.destination, &redrive.group)
            .max_messages(redrive.most.saturating_mul(2))
            .max_bytes(redrive.max_bytes);
        let source = broker.subscribe(&subscription).await.map_err(RedriveError::Source)?;
        let kept = Kept { deliveries: Vec::new(), bytes: 0, largest: 0, extended: Instant::now() };
        let mark = format!("{:032x}", rand::random::<u128>());
        Ok(Self { redrive, dry, mark, publisher, source, seen: HashSet::new(), kept })
    }

    /// Gives back what stays.
    pub(super) async fn end(self) {
        let kept = self.kept.deliveries.into_iter();
        let back: Vec<_> = kept.map(|kept| Settle::new(kept, Settlement::Release)).collect();
        // Those that cannot be handed back come back when their hold ends.
        let _ = self.source.settle(&back).await;
        self.source.close().await;
    }

    /// Redrives until no letter comes, or it is asked to stop.
    pub(super) async fn all(
        &mut self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<RedriveReport, RedriveError> {
        let mut report = RedriveReport::default();
        let mut pace =
            tokio::time::interval(period(Duration::from_secs(1) / self.redrive.per_second));
        // What was missed is not made up for: a burst is what the rate is there to prevent.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ended = false;
        let mut quiet_since = Instant::now();
        let mut enough = quiet_since + self.redrive.idle;
        while !ended && report.seen() < self.redrive.most {
            report.full = self.kept.is_full(self.redrive.max_bytes);
            if report.full {
                break;
            }
            let source = Arc::clone(&self.source);
            let mut receiving = source.receive(Demand::new(1, usize::MAX));
            let received = loop {
                let hold_is_due = self.hold_is_due();
                tokio::select! {
                    biased;
                    () = reach(hold_is_due) => {
                        self.hold().await;
                        continue;
                    }
                    received = &mut receiving => break received,
                    () = stop.as_mut(), if !ended => {}
                    () = tokio::time::sleep_until(enough), if !ended => {
                        if quiet_since.elapsed() < LONGEST && may_bring_more(&*source, self.redrive.idle, report.seen()).await {
                            enough = Instant::now() + self.redrive.idle;
                            continue;
                        }
                    }
                }
                ended = true;
                source.stop().await;
            };
            let received = received.map_err(RedriveError::Source)?;
            if received.is_empty() {
                // "Nothing yet" may be answered at once, again and again.
                tokio::select! {
                    biased;
                    () = stop.as_mut(), if !ended => ended = true,
                    () = tokio::time::sleep(PAUSE) => ended |= quiet_since.elapsed() > LONGEST,
                }
                continue;
            }
            quiet_since = Instant::now();
            enough = quiet_since + self.redrive.idle;
            for letter in received {
                if !self.seen.insert(name(&letter)) {
                    self.kept.keep(letter);
                    continue;
                }
                if !self.dry && !ended {
                    tokio::select! {
                        biased;
                        () = stop.as_mut() => ended = true,
                        _ = pace.tick() => {}
                    }
                }
                match ended {
                    true => self.kept.keep(letter),
                    false => self.one(letter, &mut report).await?,
                }
            }
        }
        report.full |= self.kept.may_fill(self.redrive.max_bytes);
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
                    self.kept.keep(letter);
                } else {
                    self.put_back(letter, story, &original).await?;
                }
                report.redriven += 1;
                return Ok(());
            }
            _ => &mut report.unfit,
        };
        *count += 1;
        self.kept.keep(letter);
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
                self.kept.keep(letter);
                return Err(RedriveError::NeedsStore { consumer: story.consumer.clone() });
            };
            // A record that is not dead was re-armed by a run that was broken off, or is about to be
            // recorded as dead: then the message, which carries the fence, re-arms it.
            let _ = store.rearm(record, story.fence).await.map_err(RedriveError::Store)?;
        }
        let destination = story.origin.source.to_string();
        if let Err(error) = self.publisher.publish(&destination, original).await {
            self.kept.keep(letter);
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
        let receipts: Vec<_> = self.kept.deliveries.iter().map(|kept| kept.receipt).collect();
        // One that is lost comes back to the broker earlier: it stays in any case.
        let _ = self.source.extend(&receipts).await;
        self.kept.extended = Instant::now();
    }

    /// When the holds are due for an extension, if they can be extended.
    fn hold_is_due(&self) -> Option<Instant> {
        match self.source.capabilities().hold {
            Hold::Extendable { each, .. } if !self.kept.deliveries.is_empty() => {
                Some(self.kept.extended + each / 3)
            }
            _ => None,
        }
    }
}

/// What tells a letter from others when it comes again.
fn name(letter: &Delivery) -> String {
    let origin = &letter.origin;
    origin.position.clone().or_else(|| origin.message_id.clone()).unwrap_or_else(|| {
        let Receipt { epoch, tag } = letter.receipt;
        format!("{epoch}/{tag}")
    })
}
