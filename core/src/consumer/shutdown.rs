//! Asking consumers to stop.

use std::io;

use crate::{Cancellation, Cancelled};

/// Asks the consumers that run under it to stop: they receive no more, finish or release what they
/// hold within their drain deadline, and end. Clones ask as one.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(Cancellation);

impl Shutdown {
    /// A shutdown for [`Shutdown::trigger`] to start.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that SIGTERM or SIGINT (Ctrl-C) starts.
    ///
    /// # Errors
    /// When the signals cannot be listened to.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn on_signal() -> io::Result<Self> {
        let shutdown = Self::new();
        let signalled = signalled()?;
        let trigger = shutdown.clone();
        tokio::spawn(async move {
            signalled.await;
            tracing::info!("asked to stop");
            trigger.trigger();
        });
        Ok(shutdown)
    }

    /// Starts the shutdown.
    pub fn trigger(&self) {
        self.0.trip(Cancelled::Shutdown);
    }

    /// Waits until it is started. Cancel safe.
    pub async fn started(&self) {
        self.0.cancelled().await;
    }
}

#[cfg(unix)]
fn signalled() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            biased;
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signalled() -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async {
        // Without a signal to wait for, this never starts a shutdown.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
