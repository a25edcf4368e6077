//! A consumer that runs in the background of a test.

use std::sync::Arc;

use steadfast::{Consumer, RunError, Shutdown};
use tokio::task::{JoinError, JoinHandle};

use crate::MockBroker;

impl MockBroker {
    /// Runs a consumer in the background. When it ends with an error, the assertions of this broker
    /// say so.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(&self, consumer: Consumer) -> Running {
        let shutdown = Shutdown::new();
        let (shared, run) = (Arc::clone(&self.shared), consumer.run(shutdown.clone()));
        let task = tokio::spawn(async move {
            let ended = run.await;
            if let Err(error) = &ended {
                shared.update(|state, _| state.complaints.push(error.to_string()));
            }
            ended
        });
        Running { shutdown, task }
    }
}

/// A consumer that was started. Dropping it is a crash: what it holds goes back to the broker.
#[derive(Debug)]
pub struct Running {
    shutdown: Shutdown,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// Shuts the consumer down and waits for its end.
    ///
    /// # Errors
    /// What its `run()` answers.
    ///
    /// # Panics
    /// When `run()` panicked, with the same words.
    pub async fn stop(self) -> Result<(), RunError> {
        self.shutdown.trigger();
        self.ended().await
    }

    /// Waits for the consumer to end by itself.
    ///
    /// # Errors
    /// What its `run()` answers.
    ///
    /// # Panics
    /// When `run()` panicked, with the same words.
    pub async fn ended(mut self) -> Result<(), RunError> {
        (&mut self.task).await.unwrap_or_else(|error| resume(error))
    }

    /// Stops the consumer as `kill -9` does, and waits until it is gone.
    ///
    /// # Panics
    /// When `run()` had panicked before, with the same words.
    pub async fn kill(mut self) {
        self.task.abort();
        match (&mut self.task).await {
            Err(error) if !error.is_cancelled() => resume(error),
            _ => {}
        }
    }

    /// The shutdown under which it runs.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn resume(error: JoinError) -> ! {
    std::panic::resume_unwind(error.into_panic())
}
