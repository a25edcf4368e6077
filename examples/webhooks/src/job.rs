//! The job: publisher, consumer and auditor around one broker, from the start to the end.

use std::{error::Error, io, pin::pin, sync::Arc, time::Duration};

use steadfast::{
    Backoff, Consumer, DedupKey, Findings, Raw, Retry, Shutdown, broker::Broker, run_all,
    store::MemoryStore,
};
use steadfast_mock::{FaultyStore, MockBroker, middleware::FailRandomly};
use tokio::sync::mpsc;

use crate::{
    audit::{Audit, Shown},
    cli::Options,
    faults,
    handler::{WriteDown, wants},
    input::{InputError, Webhook, Webhooks},
    ledger::Ledger,
    manifest::Manifest,
    plan::{DELIVERY, Plan},
    publish::publish_all,
    tally::{CountAttempts, CountDeliveries, Tally},
};

/// The topic that webhooks are published to.
pub(crate) const SOURCE: &str = "webhooks";
const DEAD: &str = "webhooks.dead";
const GROUP: &str = "webhooks";
/// How long a record is remembered: much longer than a copy stays in the broker, even if the process
/// is stopped for a while, and short enough to bound the memory of a very long run.
const RETENTION: Duration = Duration::from_secs(300);
/// How many dead letters `--dead-letters` shows.
const SHOWN: usize = 50;
/// How many webhooks are read ahead.
const READ_AHEAD: usize = 64;

/// Everything that the parts of the job share.
pub(crate) struct Job {
    pub(crate) options: Options,
    pub(crate) plan: Plan,
    pub(crate) broker: MockBroker,
    pub(crate) store: FaultyStore<MemoryStore>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) shown: Arc<Shown>,
}

/// How the job ended.
pub(crate) enum End {
    /// Everything was published, and the broker holds nothing any more.
    Finished,
    /// A signal came.
    Interrupted,
    /// It could not go on.
    Failed(Box<dyn Error>),
}

impl Job {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            plan: Plan::new(options.seed),
            broker: faults::broker(options.seed),
            store: FaultyStore::new(MemoryStore::new()),
            ledger: Arc::default(),
            manifest: Arc::default(),
            tally: Arc::default(),
            shown: Arc::new(Shown::of(if options.dead_letters { SHOWN } else { 0 })),
            options,
        }
    }

    /// Runs until everything has ended, or a signal comes.
    pub(crate) async fn run(&self, webhooks: Webhooks) -> End {
        match self.start_and_stop(webhooks).await {
            Ok(end) => end,
            Err(error) => End::Failed(error),
        }
    }

    async fn start_and_stop(&self, webhooks: Webhooks) -> Result<End, Box<dyn Error>> {
        let signal = Shutdown::on_signal()?;
        let stop = Shutdown::new();
        let consumers = [self.consumer()?, self.auditor()?];
        let mut consumers = pin!(run_all(consumers, stop.clone()));
        let end = tokio::select! {
            ended = &mut consumers => {
                ended?;
                return Err(io::Error::other("the consumers ended before their work").into());
            }
            () = signal.started() => End::Interrupted,
            worked = self.work(webhooks) => match worked {
                Ok(()) => End::Finished,
                Err(error) => End::Failed(error),
            },
        };
        stop.trigger();
        consumers.await?;
        Ok(end)
    }

    fn consumer(&self) -> Result<Consumer, Findings> {
        let retry = Retry::with_backoff(Backoff::exponential(
            Duration::from_millis(2),
            Duration::from_millis(50),
        ));
        let concurrency = self.options.concurrency;
        Consumer::builder(
            "webhooks.write-down",
            WriteDown { ledger: Arc::clone(&self.ledger), plan: self.plan },
        )
        .source(SOURCE)
        .group(GROUP)
        .dead_letter(DEAD)
        .store(self.store.clone())
        .dedup_key(DedupKey::header(DELIVERY))
        .transactional()
        .retry(retry.max_attempts(6))
        .filter(wants)
        .concurrency(concurrency)
        .max_in_flight(concurrency.saturating_mul(16))
        .timeout(Duration::from_millis(500))
        .grace(Duration::from_millis(200))
        .lease(Duration::from_secs(2))
        .retention(RETENTION)
        .drain(Duration::from_secs(5))
        .outer(CountDeliveries {
            tally: Arc::clone(&self.tally),
            manifest: Arc::clone(&self.manifest),
        })
        .inner(CountAttempts(Arc::clone(&self.tally)))
        .inner(FailRandomly::new(self.options.seed, 0.01))
        .build(self.broker.clone())
    }

    fn auditor(&self) -> Result<Consumer, Findings> {
        let audit = Audit { manifest: Arc::clone(&self.manifest), shown: Arc::clone(&self.shown) };
        Consumer::builder("webhooks.audit", audit)
            .codec(Raw)
            .source(DEAD)
            .group("audit")
            .dead_letter("webhooks.dead.unreadable")
            .drain(Duration::from_secs(5))
            .build(self.broker.clone())
    }

    /// Publishes everything, and waits until nothing is left in the broker.
    async fn work(&self, webhooks: Webhooks) -> Result<(), Box<dyn Error>> {
        let publisher = self.broker.publisher().await?;
        publish_all(self, publisher, read_ahead(webhooks)).await?;
        let is_empty =
            |topic| move |broker: &MockBroker| broker.backlog(topic) + broker.unsettled(topic) == 0;
        self.broker.until("the webhooks to end", is_empty(SOURCE)).await;
        self.broker.until("the dead letters to be read", is_empty(DEAD)).await;
        Ok(())
    }
}

/// Reads on a thread of its own, since files block; not further ahead than the channel is long.
fn read_ahead(webhooks: Webhooks) -> mpsc::Receiver<Result<Webhook, InputError>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        for webhook in webhooks {
            if sender.blocking_send(webhook).is_err() {
                break;
            }
        }
    });
    receiver
}
