//! The suite for brokers.
//!
//! Two steps prove a [`Broker`](steadfast::broker::Broker) of your own:
//!
//! 1. Implement [`BrokerHarness`]: how to get a topic, and what the suite can let go wrong.
//! 2. Call [`broker_suite!`](crate::broker_suite): each of the [`cases`] becomes a test.
//!
//! The cases ask the [`Capabilities`](steadfast::broker::Capabilities) that a consumer reads, never the
//! adapter's name: what a source claims it must keep, and what it does not claim is not asked of it.
//! A case that a broker gives no occasion to prove says so, with the reason; it never passes as
//! proved ([`Verdict`]).
//!
//! Half of the cases speak to the raw contract, one call at a time; the others run whole
//! consumers, whose promises are the reason for the contract. All waiting is for conditions, in
//! tokio's time, up to the harness's [patience](BrokerHarness::patience). That something does *not*
//! happen is shown by something that happens later: a message that was published behind, a hold that
//! began after, a consumer beside it that has done its work.

pub mod cases;

mod harness;
mod ledger;
mod member;
mod script;
mod session;
mod stage;
mod suite;
mod topic;
mod verdict;
mod wait;
mod watched;

pub use self::{
    harness::{BrokerHarness, GROUPS},
    verdict::{NotProved, Proof, Verdict, report},
};
pub(crate) use self::{member::Member, session::Session, stage::Stage, topic::Topic};
