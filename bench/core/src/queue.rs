//! The least broker that there can be: a queue in this process.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use steadfast::{
    Delivery, Message, Origin, Receipt,
    broker::{
        Broker, BrokerError, Capabilities, Demand, Publish, PublishError, Settle, SettleError,
        Settlement, Source, Subscription,
    },
};
use tokio::sync::Notify;

use crate::latch::Latch;

/// A broker of one queue, whose messages wait until they are acked. It does what a broker must, in
/// as little code as that takes, so that what is counted is the stack above it.
#[derive(Clone)]
pub(crate) struct Queue(Arc<Inner>);

struct Inner {
    source: Arc<str>,
    state: Mutex<State>,
    changed: Notify,
    acked: Latch,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Bytes>,
    next: u64,
    stopped: bool,
}

impl Queue {
    /// A queue that tells the latch of each ack.
    pub(crate) fn new(acked: Latch) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        Self(Arc::new(Inner { source: "orders".into(), state, changed, acked }))
    }

    pub(crate) fn fill(&self, payloads: impl Iterator<Item = Bytes>) {
        self.state().waiting.extend(payloads);
        self.0.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Broker for Queue {
    fn system(&self) -> &'static str {
        "memory"
    }

    async fn subscribe(&self, _: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        Ok(Arc::new(self.clone()))
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Source for Queue {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError> {
        loop {
            {
                let mut state = self.state();
                if !state.waiting.is_empty() || state.stopped {
                    let count = demand.messages.min(state.waiting.len());
                    let first = state.next;
                    state.next += count as u64;
                    let delivered = (first..).zip(state.waiting.drain(..count));
                    return Ok(delivered
                        .map(|(tag, payload)| {
                            let origin = Origin::new(Arc::clone(&self.0.source));
                            Delivery::new(Message::new(payload), origin, Receipt::new(0, tag))
                        })
                        .collect());
                }
            }
            self.0.changed.notified().await;
        }
    }

    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        let acked = |settle: &&Settle| settle.settlement == Settlement::Ack;
        self.0.acked.arrived(batch.iter().filter(acked).count());
        batch.iter().map(|_| Ok(())).collect()
    }

    async fn extend(&self, receipts: &[Receipt]) -> Vec<Result<(), SettleError>> {
        receipts.iter().map(|_| Ok(())).collect()
    }

    async fn stop(&self) {
        self.state().stopped = true;
        self.0.changed.notify_one();
    }

    async fn close(&self) {}
}

#[async_trait]
impl Publish for Queue {
    async fn publish(&self, _: &str, _: &Message) -> Result<(), PublishError> {
        Err(PublishError::Unavailable("no case has dead letters".into()))
    }

    async fn check(&self, _: &str) -> Result<(), BrokerError> {
        Ok(())
    }
}
