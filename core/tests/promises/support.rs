//! What the tests share: a message, a handler by closure, and a ledger without unique keys.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use steadfast::{
    Backoff, Builder, Consumer, Context, DedupKey, Handler, HandlerError, Health, Json, Message,
    NoLayers, Retry,
};
use steadfast_mock::MockBroker;
use tokio::sync::Notify;

pub(crate) const SOURCE: &str = "orders";
pub(crate) const DEAD: &str = "orders.dead";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
}

/// An order with this id, and the id as its key.
pub(crate) fn order(id: impl ToString) -> Message {
    let id = id.to_string();
    let body = serde_json::to_vec(&Order { id: id.clone() }).unwrap();
    Message::new(body).with_key(id)
}

/// What was done, in order, repeats included.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<String>>>, Arc<Notify>);

impl Ledger {
    pub(crate) fn add(&self, entry: impl ToString) {
        self.0.lock().unwrap().push(entry.to_string());
        self.1.notify_waiters();
    }

    /// Waits until it has so many entries.
    pub(crate) async fn reaches(&self, entries: usize) {
        loop {
            let added = self.1.notified();
            if self.entries().len() >= entries {
                return;
            }
            added.await;
        }
    }

    /// Adds an entry, as the last thing that a handler does.
    pub(crate) fn done(&self, entry: impl ToString) -> Result<(), HandlerError> {
        self.add(entry);
        Ok(())
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, entry: &str) -> usize {
        self.entries().iter().filter(|found| *found == entry).count()
    }

    pub(crate) fn counts(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for entry in self.entries() {
            *counts.entry(entry).or_default() += 1;
        }
        counts
    }
}

/// A handler that adds every order that it begins to a ledger, and then does as a function says.
pub(crate) struct Record<F> {
    pub(crate) begun: Ledger,
    pub(crate) then: F,
}

impl<F, Fut> Handler for Record<F>
where
    F: Fn(Order, u32) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    type Message = Order;

    async fn handle(&self, order: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        self.begun.add(&order.id);
        (self.then)(order, cx.attempt()).await
    }
}

pub(crate) type Plain<H> = Builder<H, Json, NoLayers, NoLayers>;

/// A consumer of orders around this handler, three attempts a second apart, without a store.
pub(crate) fn consumer<H: Handler>(handler: H) -> Plain<H> {
    Consumer::builder("test.orders", handler)
        .source(SOURCE)
        .group("test")
        .dead_letter(DEAD)
        .retry(Retry::with_backoff(Backoff::fixed(Duration::from_secs(1))).max_attempts(3))
}

pub(crate) fn by_id() -> DedupKey<Order> {
    DedupKey::of(|order: &Order| order.id.clone())
}

/// Any error.
pub(crate) fn failure(words: &str) -> HandlerError {
    HandlerError::transient(words)
}

/// A broker on which `ids` have been published.
pub(crate) fn broker_with(ids: &[&str]) -> MockBroker {
    let broker = MockBroker::new();
    publish(&broker, ids);
    broker
}

pub(crate) fn publish(broker: &MockBroker, ids: &[&str]) {
    for id in ids {
        broker.publish(SOURCE, order(id));
    }
}

/// Waits until this is found down, a day at the most.
pub(crate) async fn down(health: &Health, what: &str) {
    let day = Duration::from_secs(24 * 3600);
    let found = tokio::time::timeout(day, health.down(what)).await;
    assert!(found.is_ok(), "{what} is not down, but {:?}", health.reasons());
}
