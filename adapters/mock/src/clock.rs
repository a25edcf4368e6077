//! Lets time pass in the broker when nobody calls it, so that a hold that runs out trips its token.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::task::JoinHandle;

use crate::state::Shared;

/// One task for a broker. It ends with the broker, or with its runtime.
#[derive(Default)]
pub(crate) struct Clock(Mutex<Option<JoinHandle<()>>>);

impl Clock {
    /// Sees to it that the clock runs. Each session does so, for a test may use a broker in more
    /// than one runtime.
    pub(crate) fn wind(&self, shared: &Arc<Shared>) {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(run(Arc::downgrade(shared), Arc::clone(&shared.changed))));
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let task = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task {
            task.abort();
        }
    }
}

async fn run(shared: Weak<Shared>, changed: Arc<tokio::sync::Notify>) {
    loop {
        let change = changed.notified();
        let Some(due) = shared.upgrade().map(|shared| {
            let due = shared.with(|state, _| state.next_due());
            due.and_then(|due| shared.instant(due))
        }) else {
            return;
        };
        let time = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = change => {}
            () = time => {}
        }
    }
}
