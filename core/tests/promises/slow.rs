//! A broker of a user's own whose settlements take long, or that lets nobody in for a while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use steadfast::{
    Cause, Delivery, Middleware, OrderedBy, Outcome, Process, Receipt,
    broker::{
        Broker, BrokerError, Capabilities, Demand, Publish, Settle, SettleError, Source,
        Subscription,
    },
    handler_fn,
};
use steadfast_mock::MockBroker;
use tokio::time::{Instant, sleep_until};

use crate::support::{Ledger, Order, SOURCE, broker_with, consumer, order};

pub(crate) struct Slow {
    pub(crate) mock: MockBroker,
    pub(crate) settles_after: Duration,
    /// Until then it delivers nothing and cannot tell its backlog, as a group of Kafka's that misses a member.
    pub(crate) lets_in_after: Duration,
}

struct SlowSource {
    inner: Arc<dyn Source>,
    settles_after: Duration,
    lets_in_at: Instant,
}

#[async_trait]
impl Broker for Slow {
    fn system(&self) -> &'static str {
        "slow"
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        let inner = self.mock.subscribe(subscription).await?;
        let lets_in_at = Instant::now() + self.lets_in_after;
        Ok(Arc::new(SlowSource { inner, settles_after: self.settles_after, lets_in_at }))
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        self.mock.publisher().await
    }
}

#[async_trait]
impl Source for SlowSource {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError> {
        sleep_until(self.lets_in_at).await;
        self.inner.receive(demand).await
    }

    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        tokio::time::sleep(self.settles_after).await;
        self.inner.settle(batch).await
    }

    async fn extend(&self, receipts: &[Receipt]) -> Vec<Result<(), SettleError>> {
        self.inner.extend(receipts).await
    }

    async fn stop(&self) {
        self.inner.stop().await;
    }

    async fn close(&self) {
        self.inner.close().await;
    }

    async fn backlog(&self) -> Result<Option<u64>, BrokerError> {
        if Instant::now() < self.lets_in_at { Ok(None) } else { self.inner.backlog().await }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_settlement_does_not_let_the_holds_of_the_others_lapse() {
    let broker = broker_with(&["1", "14", "27", "40", "53", "66", "79"]);
    let handler = handler_fn(|order: Order| async move {
        tokio::time::sleep(Duration::from_secs(order.id.parse()?)).await;
        Ok(())
    });
    let patient = consumer(handler).timeout(Duration::from_secs(200));
    let slow = Slow {
        mock: broker.clone(),
        settles_after: Duration::from_secs(22),
        lets_in_after: Duration::ZERO,
    };
    let _running = broker.start(patient.build(slow).unwrap());
    broker.settled(SOURCE).await;
    assert_eq!(broker.deliveries(SOURCE), 7, "some came twice");
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_a_message_on_its_way_back() {
    for fails in [0, 1] {
        let mock = MockBroker::new().ordered();
        mock.publish(SOURCE, order("0").with_key("k"));
        mock.faults().fail_settles(fails);
        let (handed_back, done) = (AtomicBool::new(false), Ledger::default());
        let effects = done.clone();
        let handler = handler_fn(move |order: Order| {
            let effects = effects.clone();
            async move { effects.done(order.id) }
        });
        let ordered = consumer(handler)
            .ordered_by(OrderedBy::Key)
            .concurrency(2)
            .max_in_flight(8)
            .outer(HandsBackOnce(handed_back));
        let slow = Slow {
            mock: mock.clone(),
            settles_after: Duration::from_millis(20),
            lets_in_after: Duration::ZERO,
        };
        let _running = mock.start(ordered.build(slow).unwrap());
        mock.until("the first", |mock| mock.deliveries(SOURCE) == 1).await;
        for id in 1..4 {
            mock.publish(SOURCE, order(id).with_key("k"));
            tokio::time::sleep(Duration::from_millis(8)).await;
        }
        mock.settled(SOURCE).await;
        assert_eq!(done.entries(), ["0", "1", "2", "3"]);
    }
}

struct HandsBackOnce(AtomicBool);

impl Middleware for HandsBackOnce {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        if !self.0.swap(true, Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            return Outcome::release(Cause::Unknown);
        }
        next.run(delivery).await
    }
}
