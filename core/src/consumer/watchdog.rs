//! Notices a session that delivers nothing although messages wait.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;

use super::{
    RunError,
    session::{CALL_DEADLINE, Session},
};
use crate::middleware::Meters;

/// What intake shows the watchdog.
#[derive(Default)]
pub(crate) struct Progress {
    session: Mutex<Option<Arc<Session>>>,
    receipts: AtomicU64,
    receiving: AtomicBool,
}

impl Progress {
    pub(crate) fn enter(&self, session: &Arc<Session>) {
        self.receiving(false);
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(session));
    }

    pub(crate) fn received(&self) {
        self.receipts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn receiving(&self, receiving: bool) {
        self.receiving.store(receiving, Ordering::Relaxed);
    }

    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sessions that may be renewed in a row without a delivery.
const MOST_RENEWALS: u32 = 3;

/// Looks regularly. A session that has delivered nothing for `stalled_after`, while it was asked
/// and the broker counts messages that wait, is renewed; ends when that does not help.
pub(crate) async fn run(
    progress: Arc<Progress>,
    meters: Arc<Meters>,
    stalled_after: Duration,
) -> RunError {
    let mut renewals = 0;
    let mut seen = 0;
    let mut quiet = 0;
    /// Looks in one `stalled_after`.
    const LOOKS: u32 = 8;
    loop {
        tokio::time::sleep(stalled_after / LOOKS).await;
        let Some(session) = progress.session().filter(|session| !session.is_over()) else {
            continue;
        };
        // What cannot be asked now says nothing, for and against.
        let Ok(Ok(backlog)) = timeout(CALL_DEADLINE, session.source.backlog()).await else {
            continue;
        };
        let waiting = backlog.unwrap_or_default();
        meters.backlog(waiting);
        let receipts = progress.receipts.load(Ordering::Relaxed);
        if receipts != seen {
            (seen, renewals, quiet) = (receipts, 0, 0);
        }
        let stalls = waiting > 0 && progress.receiving.load(Ordering::Relaxed);
        quiet = if stalls { quiet + 1 } else { 0 };
        if quiet <= LOOKS {
            continue;
        }
        quiet = 0;
        if renewals == MOST_RENEWALS {
            return RunError::Stalled { waiting, renewals };
        }
        renewals += 1;
        tracing::error!(waiting, renewals, "no delivery comes although messages wait: renewing");
        session.end();
    }
}
