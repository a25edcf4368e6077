//! The adapter of the guide passes the suite, as any adapter must.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use docs::shelf::Shelf;
use steadfast::{Message, broker::Broker};
use steadfast_conformance::{broker::BrokerHarness, broker_suite};

#[derive(Default)]
struct ShelfHarness {
    shelf: Shelf,
    queues: AtomicU32,
}

#[async_trait]
impl BrokerHarness for ShelfHarness {
    fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(self.shelf.clone())
    }

    async fn fresh_topic(&self, hint: &str, _ordered: bool) -> String {
        let name = format!("{hint}-{}", self.queues.fetch_add(1, Ordering::Relaxed));
        self.shelf.make(&name);
        name
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn read_all(&self, topic: &str) -> Option<Vec<Message>> {
        Some(self.shelf.waiting(topic))
    }

    async fn missing_topic(&self) -> Option<String> {
        Some("no-such-queue".into())
    }
}

/// Time is virtual: nothing here waits for the world.
mod suite {
    use super::*;
    broker_suite!(ShelfHarness::default(), start_paused = true);
}
