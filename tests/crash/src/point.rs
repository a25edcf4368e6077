//! The places in a message's life where a worker ends or stops itself.

use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, raise};
use serde::{Deserialize, Serialize};

use crate::line::{Event, say};

/// A place in the life of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Point {
    /// The record is claimed, the handler has not begun.
    AfterClaim,
    /// In the handler, before it writes.
    BeforeEffect,
    /// In the handler, after it wrote.
    AfterEffect,
    /// The handler has ended, its completion is not sent.
    BeforeComplete,
    /// The completion is committed, the message is not acknowledged.
    AfterComplete,
    /// The handler has failed, which is not recorded.
    BeforeFail,
    /// The failure is recorded.
    AfterFail,
    /// The dead letter is confirmed, which is not recorded.
    BeforeBury,
    /// That the message is dead is recorded, it is not acknowledged.
    AfterBury,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AfterClaim,
        Self::BeforeEffect,
        Self::AfterEffect,
        Self::BeforeComplete,
        Self::AfterComplete,
        Self::BeforeFail,
        Self::AfterFail,
        Self::BeforeBury,
        Self::AfterBury,
    ];
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, until others have taken over all that it held.
    Stop,
}

/// A fault of a worker's own: at this point, when it comes there for this time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Where.
    pub point: Point,
    /// How often it passes before.
    pub skip: u32,
    /// What.
    pub action: Action,
}

/// Counts passages, and strikes.
#[derive(Debug)]
pub(crate) struct Points {
    fault: Option<Fault>,
    passed: AtomicU32,
}

impl Points {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self { fault, passed: AtomicU32::new(0) }
    }

    /// Does not come back from a kill; comes back from a stop when somebody continues the process.
    pub(crate) fn pass(&self, point: Point, key: &str, fence: u64) {
        let Some(fault) = self.fault.filter(|fault| fault.point == point) else { return };
        if self.passed.fetch_add(1, Ordering::Relaxed) != fault.skip {
            return;
        }
        say(Event::At(point, fault.action), key, fence);
        let signal = match fault.action {
            Action::Kill => Signal::SIGKILL,
            Action::Stop => Signal::SIGSTOP,
        };
        // To this thread: one that is sent to the process may be taken by another thread, while this one goes on.
        raise(signal).expect("a process may signal itself");
    }
}
