//! From receiving to settling: the loop around a process.

mod batch;
mod builder;
mod check;
mod crew;
mod declared;
mod desk;
mod flights;
mod health;
mod intake;
mod lanes;
mod operation;
mod policy;
mod room;
mod run;
mod session;
mod settings;
mod settler;
mod shutdown;
mod watchdog;
mod way_back;

pub use self::{
    builder::Builder,
    check::{Finding, Findings, Severity},
    declared::Declared,
    health::Health,
    policy::{Limits, OrderedBy},
    run::{Consumer, RunError, run_all},
    settings::{
        BackoffSettings, BreakerSettings, DedupKeySettings, LimitSettings, RetrySettings, Settings,
    },
    shutdown::Shutdown,
};
pub(crate) use self::{
    health::Outage,
    lanes::Slot,
    room::{NotPersisted, Patience, Room, in_time},
    session::CALL_DEADLINE,
};
