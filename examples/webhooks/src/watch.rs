//! Waits for the consumers, for as long as something moves or an outage explains why nothing does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use steadfast::Health;

use crate::tally::Tally;

/// How long nothing may move without a reason. What has not ended then is taken to be lost.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(1);

/// Watches the consumers of a run.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) tally: Arc<Tally>,
    pub(crate) consumers: Vec<Health>,
}

impl Watch {
    /// Waits until it holds; `false` when nothing has moved for a minute although nothing is down.
    pub(crate) async fn until(&self, holds: impl Fn() -> bool) -> bool {
        let (mut moved, mut since) = (self.tally.deliveries(), Instant::now());
        while !holds() {
            tokio::time::sleep(PAUSE).await;
            let now = self.tally.deliveries();
            if now != moved || !self.down().is_empty() {
                (moved, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                return false;
            }
        }
        true
    }

    /// What is down.
    pub(crate) fn down(&self) -> Vec<String> {
        let mut down: Vec<_> = self.consumers.iter().flat_map(Health::reasons).collect();
        down.sort_unstable();
        down.dedup();
        down
    }
}
