//! A running consumer.

use std::time::Duration;

use steadfast::{Consumer, Health, RunError, Shutdown};
use tokio::task::JoinHandle;

use super::{wait::within, watched::Failures};

/// A consumer at work. Dropping it kills it.
pub(crate) struct Member {
    pub(crate) health: Health,
    failures: Failures,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), RunError>>,
    patience: Duration,
}

impl Member {
    pub(crate) fn start(consumer: Consumer, failures: Failures, patience: Duration) -> Self {
        let (health, shutdown) = (consumer.health(), Shutdown::new());
        assert!(!health.is_ready(), "it has not begun");
        let run = consumer.run(shutdown.clone());
        let running = tokio::spawn(async move {
            let ended = run.await;
            if let Err(error) = &ended {
                // For the log of a case that waits for what now cannot come.
                eprintln!("a consumer ended by itself: {error}");
            }
            ended
        });
        Self { health, failures, shutdown, running, patience }
    }

    /// Waits until it is ready to consume.
    pub(crate) async fn ready(&self) {
        within(self.patience, "the consumer to be ready", self.health.ready()).await;
    }

    /// Waits until it has tried in vain to reach its broker, and more than once.
    pub(crate) async fn has_tried_in_vain(&self) {
        let failures = self.failures.reach(2);
        within(self.patience, "the consumer to try to reach its broker again", failures).await;
    }

    /// Asks it to stop, and does not wait.
    pub(crate) fn begin_stop(&self) {
        self.shutdown.trigger();
    }

    /// Stops it, which must succeed.
    pub(crate) async fn stop(self) {
        self.begin_stop();
        self.ended().await.expect("a consumer that is stopped ends well");
    }

    /// Waits until it has ended, and says how.
    pub(crate) async fn ended(mut self) -> Result<(), RunError> {
        let ended = within(self.patience, "the consumer to end", &mut self.running).await;
        ended.expect("a consumer does not panic")
    }

    /// Stops it as a crash would: what it is in the middle of is broken off.
    pub(crate) async fn kill(mut self) {
        self.running.abort();
        // What it answers is how an aborted task ends.
        let _ = within(self.patience, "the killed consumer to be gone", &mut self.running).await;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.running.abort();
    }
}
