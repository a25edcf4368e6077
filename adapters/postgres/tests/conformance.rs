//! The store passes the suite on a real server.

mod support;

use std::{sync::Arc, time::Duration};

use steadfast::store::{Lent, Store};
use steadfast_conformance::{store::StoreHarness, store_suite};
use steadfast_postgres::testing::Scratch;
use tokio::sync::OnceCell;

use crate::support::{effect, effects, with_effects};

/// A schema for each case.
#[derive(Default)]
struct Harness(OnceCell<Scratch>);

impl StoreHarness for Harness {
    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.get_or_init(with_effects).await.store())
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn lease(&self) -> Duration {
        Duration::from_millis(1600)
    }

    async fn effect(&self, lent: &mut dyn Lent, name: &str) {
        effect(lent, name).await;
    }

    async fn effects(&self, name: &str) -> usize {
        effects(self.0.get().expect("a case takes its store first"), name).await
    }
}

store_suite!(Harness::default());
