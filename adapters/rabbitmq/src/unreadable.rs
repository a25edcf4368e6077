//! Messages that the client cannot read.
//!
//! AMQP's short strings are UTF-8, and the server does not look. The client gives up its connection over a
//! message that it cannot read, the server takes back all that was sent ahead, and the next session is
//! sent the same message again, before all others.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

/// How many sessions in a row have ended so, by queue.
#[derive(Default)]
pub(crate) struct Streaks(Mutex<HashMap<Arc<str>, Arc<Streak>>>);

/// That of one queue, all its sessions together.
#[derive(Default)]
pub(crate) struct Streak(AtomicU32);

/// After so many the queue is given up. One might be chance, and where other messages are acked in
/// between, the queue moves.
const MOST: u32 = 5;

impl Streaks {
    pub(crate) fn of(&self, queue: &Arc<str>) -> Arc<Streak> {
        let mut streaks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(streaks.entry(Arc::clone(queue)).or_default())
    }
}

impl Streak {
    /// A message of the queue was acked.
    pub(crate) fn breaks(&self) {
        self.0.store(0, Relaxed);
    }

    /// A session has ended so. Whether the next one would too, for all that is known.
    pub(crate) fn grows(&self) -> bool {
        self.0.fetch_add(1, Relaxed) + 1 >= MOST
    }
}

/// What is said of a queue that is given up. `found`: what cannot be read.
pub(crate) fn refusal(queue: &str, found: &str) -> String {
    format!(
        "queue `{queue}` holds a message that the client cannot read: {found}. {MOST} sessions in a row have \
         ended by it, and nothing was acked in between. Take it out of the queue with another client (it \
         is among the first), and have its producer mended"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_given_up_when_nothing_is_acked_between_five_sessions() {
        let streaks = Streaks::default();
        let [queue, other]: [Arc<str>; 2] = ["orders".into(), "other".into()];
        let four = |streak: &Streak| (0..4).any(|_| streak.grows());
        assert!(!four(&streaks.of(&queue)));
        streaks.of(&queue).breaks();
        assert!(!four(&streaks.of(&queue)));
        assert!(!streaks.of(&other).grows(), "each queue has its own");
        assert!(streaks.of(&queue).grows());
        assert!(streaks.of(&queue).grows(), "nothing has changed");
    }
}
