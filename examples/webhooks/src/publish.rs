//! Publishes every webhook several times, in a shuffled order, no faster than it is consumed.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt as _, TryStreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use steadfast::{
    Message,
    broker::{Publish, PublishError},
};
use tokio::sync::mpsc;

use crate::{
    faults,
    input::{InputError, Webhook},
    job::Job,
    plan::{COPY, DELIVERY, EVENT, Fate},
    watch::Watch,
};

/// Copies that are mixed with each other.
const WINDOW: usize = 1_000;
/// Bytes that are mixed with each other.
const WINDOW_BYTES: usize = 16 << 20;
/// Copies that may be under way, and their bytes.
const BACKLOG: usize = 4_096;
const BACKLOG_BYTES: usize = 64 << 20;
/// Copies that wait for their confirmation at the same time, where that takes a round trip.
const UNCONFIRMED: usize = 64;
/// How many copies are published between two looks at what is under way.
const LOOK_EVERY: u64 = 32;

/// Why publishing stopped early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("the broker refuses a webhook: {0}")]
    Refused(#[source] PublishError),
    #[error("no webhook has ended for a minute, although nothing is down")]
    Stuck,
}

/// Publishes all that comes.
pub(crate) async fn publish_all(
    job: &Job,
    to: Arc<dyn Publish>,
    watch: &Watch,
    mut webhooks: mpsc::Receiver<Result<Webhook, InputError>>,
) -> Result<(), Stopped> {
    let mut shuffle = Shuffle::new(job.options.seed);
    let mut number = 0;
    let mut largest = 1;
    let under_way = FuturesUnordered::new();
    let mut sending = Unconfirmed { job, to: &*to, watch, under_way, sent: 0 };
    while let Some(webhook) = webhooks.recv().await {
        let message = prepare(job, number, webhook?);
        largest = message.size().max(largest);
        for copy in 1..=job.options.copies {
            shuffle.put(Sending { number, copy, message: message.clone() });
            while let Some(copy) = shuffle.overflow() {
                sending.send(copy, largest).await?;
            }
        }
        number += 1;
    }
    while let Some(copy) = shuffle.take() {
        sending.send(copy, largest).await?;
    }
    sending.all().await
}

/// Makes a message of a webhook, and notes where it must end.
fn prepare(job: &Job, number: u64, webhook: Webhook) -> Message {
    let Webhook { event, mut body } = webhook;
    let fate = job.plan.fate(&event, number);
    let cut = job.plan.is_cut(number);
    if cut {
        body.truncate(body.len() / 2);
    }
    let bad = (cut && fate != Fate::Ignored).then(|| body.clone());
    job.manifest.publishing(&event, fate, bad);
    Message::new(body).with_header(DELIVERY, job.plan.delivery_id(number)).with_header(EVENT, event)
}

/// Copies on their way to the broker.
struct Unconfirmed<'a> {
    job: &'a Job,
    to: &'a dyn Publish,
    watch: &'a Watch,
    under_way: FuturesUnordered<BoxFuture<'a, Result<(), Stopped>>>,
    sent: u64,
}

impl Unconfirmed<'_> {
    /// Sends a copy once there is room for it.
    async fn send(&mut self, copy: Sending, largest: usize) -> Result<(), Stopped> {
        let Self { job, to, watch, sent, .. } = *self;
        let fits = || job.manifest.under_way() <= most_waiting(largest);
        if sent.is_multiple_of(LOOK_EVERY) && !watch.until(fits).await {
            return Err(Stopped::Stuck);
        }
        faults::strike(sent, job.broker.embedded.as_ref(), &job.store);
        job.manifest.sending(copy.number, copy.copy);
        self.sent += 1;
        self.under_way.push(publish(job, to, copy).boxed());
        // In memory it takes no time, and the order stays that of the seed.
        let most = if job.broker.embedded.is_some() { 0 } else { UNCONFIRMED };
        while self.under_way.len() > most {
            self.under_way.try_next().await?;
        }
        Ok(())
    }

    async fn all(self) -> Result<(), Stopped> {
        self.under_way.try_collect().await
    }
}

async fn publish(job: &Job, to: &dyn Publish, copy: Sending) -> Result<(), Stopped> {
    const PAUSE: Duration = Duration::from_millis(1);
    let message = copy.message.with_header(COPY, copy.copy.to_string());
    // A copy whose confirmation was lost is published once more: a duplicate more, as in real life.
    while let Err(error) = to.publish(&job.topics.source, &message).await {
        if matches!(error, PublishError::Refused(_)) {
            return Err(Stopped::Refused(error));
        }
        tokio::time::sleep(PAUSE).await;
    }
    job.tally.sent.up();
    Ok(())
}

/// How many copies may be under way, if none is larger than this.
fn most_waiting(largest: usize) -> usize {
    (BACKLOG_BYTES / largest).clamp(1, BACKLOG)
}

/// One copy of a message. The number and the copy's, from 1, tell it from all others.
#[derive(Debug, PartialEq)]
struct Sending {
    number: u64,
    copy: u64,
    message: Message,
}

/// Copies on their way, in an order that the seed decides. Holds a bounded number of them.
struct Shuffle {
    rng: StdRng,
    window: Vec<Sending>,
    bytes: usize,
}

impl Shuffle {
    fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), window: Vec::new(), bytes: 0 }
    }

    fn put(&mut self, copy: Sending) {
        self.bytes += copy.message.size();
        self.window.push(copy);
    }

    /// Any copy, if there are more than may be held.
    fn overflow(&mut self) -> Option<Sending> {
        let full = self.window.len() > WINDOW || self.bytes > WINDOW_BYTES;
        if full { self.take() } else { None }
    }

    /// Any copy.
    fn take(&mut self) -> Option<Sending> {
        let any = (!self.window.is_empty()).then(|| self.rng.random_range(0..self.window.len()))?;
        let copy = self.window.swap_remove(any);
        self.bytes -= copy.message.size();
        Some(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(number: u64, body: Vec<u8>) -> Sending {
        Sending { number, copy: 1, message: Message::new(body) }
    }

    fn shuffled(seed: u64) -> Vec<Sending> {
        let mut shuffle = Shuffle::new(seed);
        let mut out = Vec::new();
        for number in 0..3_000 {
            shuffle.put(copy(number, Vec::new()));
            out.extend(shuffle.overflow());
            assert!(shuffle.window.len() <= WINDOW);
        }
        out.extend(std::iter::from_fn(|| shuffle.take()));
        out
    }

    #[test]
    fn a_shuffle_loses_nothing_and_follows_its_seed() {
        let (one, other) = (shuffled(1), shuffled(2));
        assert_eq!(one.len(), 3_000);
        assert_eq!(one, shuffled(1));
        assert_ne!(one, other);
        let sorted = |mut copies: Vec<Sending>| {
            copies.sort_by_key(|copy| copy.number);
            copies
        };
        assert_eq!(sorted(one), sorted(other));
    }

    #[test]
    fn a_shuffle_is_bounded_in_bytes_too() {
        let mut shuffle = Shuffle::new(0);
        shuffle.put(copy(0, vec![0; WINDOW_BYTES + 1]));
        assert!(shuffle.overflow().is_some());
        assert_eq!(shuffle.bytes, 0);
        assert!(shuffle.overflow().is_none());
    }

    #[test]
    fn large_messages_make_the_backlog_shorter() {
        assert_eq!(most_waiting(1), BACKLOG);
        assert_eq!(most_waiting(16 << 20), 4);
        assert_eq!(most_waiting(usize::MAX), 1);
    }
}
