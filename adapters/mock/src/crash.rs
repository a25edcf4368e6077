//! Crashes: a call that never returns.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use crate::MockBroker;

/// Where in the way of a message a consumer can be made to crash.
///
/// The call at that point never returns, nor does any later call on the same source or publisher,
/// and [`MockBroker::crashed`] resolves. What the test does then is the `kill -9`: it drops the
/// consumer's `run()` future, or its [`Running`](crate::Running), and starts another consumer.
/// Dropping the source gives what it held back to the broker, as the end of a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Point {
    /// `receive` is called; nothing is handed out.
    BeforeReceive,
    /// Deliveries are handed out, and the consumer never learns of them.
    AfterReceive,
    /// `publish` is called, or a retry copy is made; nothing is published.
    BeforePublish,
    /// The message is published, and the publisher never learns of it.
    AfterPublish,
    /// One delivery of a batch is about to be settled; those before it are.
    BeforeSettle,
    /// One delivery of a batch is settled, and the consumer never learns of it.
    AfterSettle,
}

impl MockBroker {
    /// Crashes when this point is next reached.
    pub fn crash_at(&self, point: Point) {
        self.crash_at_hit(point, 0);
    }

    /// Crashes when this point is reached, after it has been passed `skip` times. Replaces a crash
    /// that was asked for before.
    pub fn crash_at_hit(&self, point: Point, skip: u32) {
        self.shared.crash.arm(point, skip);
    }

    /// Waits until the crash that was asked for last has happened. Cancel safe.
    pub async fn crashed(&self) {
        self.shared.crash.crashed().await;
    }
}

/// A crash that was asked for.
pub(crate) struct Crash<P> {
    plan: Mutex<Plan<P>>,
    happened: Notify,
}

struct Plan<P> {
    armed: Option<(P, u32)>,
    crashed: bool,
}

impl<P> Default for Crash<P> {
    fn default() -> Self {
        let plan = Mutex::new(Plan { armed: None, crashed: false });
        Self { plan, happened: Notify::new() }
    }
}

impl<P: PartialEq> Crash<P> {
    pub(crate) fn arm(&self, point: P, skip: u32) {
        *self.plan() = Plan { armed: Some((point, skip)), crashed: false };
    }

    pub(crate) async fn crashed(&self) {
        loop {
            let happened = self.happened.notified();
            if self.plan().crashed {
                return;
            }
            happened.await;
        }
    }

    /// Passes a point, or never returns.
    pub(crate) async fn pass(&self, point: P) {
        if self.hit(point) {
            die().await;
        }
    }

    /// Whether the crash happens here. It happens once.
    fn hit(&self, point: P) -> bool {
        let mut plan = self.plan();
        match &mut plan.armed {
            Some((armed, 0)) if *armed == point => {
                *plan = Plan { armed: None, crashed: true };
                drop(plan);
                self.happened.notify_waiters();
                true
            }
            Some((armed, skip)) if *armed == point => {
                *skip -= 1;
                false
            }
            _ => false,
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan<P>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Never returns.
async fn die() {
    std::future::pending().await
}

/// Whether the process that holds this end is dead: a dead one does nothing more.
#[derive(Default)]
pub(crate) struct Pulse {
    stopped: AtomicBool,
}

impl Pulse {
    /// Passes a point, or never returns.
    pub(crate) async fn pass<P: PartialEq>(&self, crash: &Crash<P>, point: P) {
        self.alive().await;
        if crash.hit(point) {
            self.stopped.store(true, Ordering::Release);
            die().await;
        }
    }

    /// Returns if there was no crash.
    pub(crate) async fn alive(&self) {
        if self.stopped.load(Ordering::Acquire) {
            die().await;
        }
    }
}
