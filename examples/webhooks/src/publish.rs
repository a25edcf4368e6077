//! Publishes every webhook several times, in a shuffled order, no faster than it is consumed.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use steadfast::{
    Message,
    broker::{Publish, PublishError},
};
use tokio::sync::mpsc;

use crate::{
    faults,
    input::{InputError, Webhook},
    job::{Job, SOURCE},
    plan::{DELIVERY, EVENT, Fate},
};

/// Copies that are mixed with each other.
const WINDOW: usize = 1_000;
/// Bytes that are mixed with each other.
const WINDOW_BYTES: usize = 16 << 20;
/// Messages that may wait in the broker, and their bytes.
const BACKLOG: usize = 4_096;
const BACKLOG_BYTES: usize = 64 << 20;
/// How many copies are published between two looks at the backlog.
const LOOK_EVERY: u64 = 32;

/// Why publishing stopped early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("the broker refuses a webhook: {0}")]
    Refused(#[source] PublishError),
}

/// Publishes all that comes.
pub(crate) async fn publish_all(
    job: &Job,
    to: Arc<dyn Publish>,
    mut webhooks: mpsc::Receiver<Result<Webhook, InputError>>,
) -> Result<(), Stopped> {
    let mut shuffle = Shuffle::new(job.options.seed);
    let mut number = 0;
    let mut largest = 1;
    while let Some(webhook) = webhooks.recv().await {
        let message = prepare(job, number, webhook?);
        number += 1;
        largest = message.size().max(largest);
        for _ in 0..job.options.copies {
            shuffle.put(message.clone());
            while let Some(copy) = shuffle.overflow() {
                publish(job, &*to, &copy, largest).await?;
            }
        }
    }
    while let Some(copy) = shuffle.take() {
        publish(job, &*to, &copy, largest).await?;
    }
    Ok(())
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

async fn publish(
    job: &Job,
    to: &dyn Publish,
    copy: &Message,
    largest: usize,
) -> Result<(), Stopped> {
    const PAUSE: Duration = Duration::from_millis(1);
    let sent = job.tally.sent.get();
    if sent.is_multiple_of(LOOK_EVERY) {
        while job.broker.backlog(SOURCE) > most_waiting(largest) {
            tokio::time::sleep(PAUSE).await;
        }
    }
    faults::strike(sent, &job.broker, &job.store);
    // A copy whose confirmation was lost is published once more: a duplicate more, as in real life.
    while let Err(error) = to.publish(SOURCE, copy).await {
        if matches!(error, PublishError::Refused(_)) {
            return Err(Stopped::Refused(error));
        }
        tokio::time::sleep(PAUSE).await;
    }
    job.tally.sent.up();
    Ok(())
}

/// How many messages may wait in the broker, if none is larger than this.
fn most_waiting(largest: usize) -> usize {
    (BACKLOG_BYTES / largest).clamp(1, BACKLOG)
}

/// Copies on their way, in an order that the seed decides. Holds a bounded number of them.
struct Shuffle {
    rng: StdRng,
    window: Vec<Message>,
    bytes: usize,
}

impl Shuffle {
    fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), window: Vec::new(), bytes: 0 }
    }

    fn put(&mut self, copy: Message) {
        self.bytes += copy.size();
        self.window.push(copy);
    }

    /// Any copy, if there are more than may be held.
    fn overflow(&mut self) -> Option<Message> {
        let full = self.window.len() > WINDOW || self.bytes > WINDOW_BYTES;
        if full { self.take() } else { None }
    }

    /// Any copy.
    fn take(&mut self) -> Option<Message> {
        let any = (!self.window.is_empty()).then(|| self.rng.random_range(0..self.window.len()))?;
        let copy = self.window.swap_remove(any);
        self.bytes -= copy.size();
        Some(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shuffled(seed: u64) -> Vec<Message> {
        let mut shuffle = Shuffle::new(seed);
        let mut out = Vec::new();
        for number in 0..3_000 {
            shuffle.put(Message::new(number.to_string()));
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
        let sorted = |mut messages: Vec<Message>| {
            messages.sort_by(|a, b| a.payload.cmp(&b.payload));
            messages
        };
        assert_eq!(sorted(one), sorted(other));
    }

    #[test]
    fn a_shuffle_is_bounded_in_bytes_too() {
        let mut shuffle = Shuffle::new(0);
        shuffle.put(Message::new(vec![0; WINDOW_BYTES + 1]));
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
