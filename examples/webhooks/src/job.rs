//! The job: publisher, consumer and auditor around one broker, from the start to the end.

use std::{error::Error, io, pin::pin, sync::Arc, time::Duration};

use steadfast::{
    Backoff, Consumer, DedupKey, Findings, Raw, Retry, Shutdown, run_all, store::Store,
};
use steadfast_mock::{FaultyStore, middleware::FailRandomly};
use tokio::sync::mpsc;

use crate::{
    audit::{Audit, Shown},
    broker::{self, ChosenBroker, Topics},
    cli::Options,
    handler::{WriteDown, wants},
    input::{InputError, Webhook, Webhooks},
    ledger::Ledger,
    manifest::Manifest,
    plan::{DELIVERY, Plan},
    progress::Progress,
    publish::publish_all,
    store::{self, ChosenStore},
    tally::{CountAttempts, CountDeliveries, Tally},
    watch::Watch,
};

const GROUP: &str = "webhooks";
/// How many dead letters `--dead-letters` shows.
const SHOWN: usize = 50;
/// How many webhooks are read ahead.
const READ_AHEAD: usize = 64;

/// Everything that the parts of the job share.
pub(crate) struct Job {
    pub(crate) options: Options,
    pub(crate) plan: Plan,
    pub(crate) topics: Topics,
    pub(crate) broker: ChosenBroker,
    pub(crate) store: FaultyStore<Arc<dyn Store>>,
    pub(crate) ledger: Arc<Ledger>,
    retention: Duration,
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
    /// Connects to the broker and the store that were asked for.
    ///
    /// # Errors
    /// In words, without credentials.
    pub(crate) async fn open(options: Options) -> Result<Self, String> {
        let run = options.run_name();
        let topics = Topics::of(&run);
        let broker = broker::open(&options, &topics).await?;
        let ChosenStore { store, ledger, retention } = store::open(&options, &run).await?;
        let buried = ledger.schema().map(|schema| schema.buried.clone()).unwrap_or_default();
        Ok(Self {
            plan: Plan::new(options.seed),
            topics,
            broker,
            store,
            ledger: Arc::new(ledger),
            retention,
            manifest: Arc::new(Manifest::after(buried)),
            tally: Arc::default(),
            shown: Arc::new(Shown::of(if options.dead_letters { SHOWN } else { 0 })),
            options,
        })
    }

    /// Runs until everything has ended, or a signal comes.
    /// `most` is the number of webhooks, if it is known.
    pub(crate) async fn run(&self, webhooks: Webhooks, most: Option<u64>) -> End {
        match self.start_and_stop(webhooks, most).await {
            Ok(end) => end,
            Err(error) => End::Failed(error),
        }
    }

    async fn start_and_stop(
        &self,
        webhooks: Webhooks,
        most: Option<u64>,
    ) -> Result<End, Box<dyn Error>> {
        let signal = Shutdown::on_signal()?;
        let stop = Shutdown::new();
        let consumers = [self.consumer()?, self.auditor()?];
        let watch = Watch {
            tally: Arc::clone(&self.tally),
            consumers: consumers.iter().map(Consumer::health).collect(),
        };
        let copies = most.map(|most| most.saturating_mul(self.options.copies));
        let _progress = Progress::show(watch.clone(), copies);
        let mut consumers = pin!(run_all(consumers, stop.clone()));
        let end = tokio::select! {
            ended = &mut consumers => {
                ended?;
                return Err(io::Error::other("the consumers ended before their work").into());
            }
            () = signal.started() => End::Interrupted,
            worked = self.work(webhooks, &watch) => match worked {
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
        .source(&self.topics.source)
        .group(GROUP)
        .dead_letter(&self.topics.dead)
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
        .retention(self.retention)
        .drain(Duration::from_secs(5))
        .outer(CountDeliveries {
            tally: Arc::clone(&self.tally),
            manifest: Arc::clone(&self.manifest),
        })
        .inner(CountAttempts(Arc::clone(&self.tally)))
        .inner(FailRandomly::new(self.options.seed, 0.01))
        .build(Arc::clone(&self.broker.broker))
    }

    fn auditor(&self) -> Result<Consumer, Findings> {
        let audit = Audit { manifest: Arc::clone(&self.manifest), shown: Arc::clone(&self.shown) };
        Consumer::builder("webhooks.audit", audit)
            .codec(Raw)
            .source(&self.topics.dead)
            .group("audit")
            .dead_letter(&self.topics.unreadable)
            .drain(Duration::from_secs(5))
            .build(Arc::clone(&self.broker.broker))
    }

    /// Publishes everything, and waits until it has ended. What does not end, the verdict names.
    async fn work(&self, webhooks: Webhooks, watch: &Watch) -> Result<(), Box<dyn Error>> {
        let publisher = self.broker.broker.publisher().await?;
        publish_all(self, publisher, watch, read_ahead(webhooks)).await?;
        let has_ended = || self.manifest.is_settled() && self.broker.is_empty(&self.topics);
        watch.until(has_ended).await;
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
