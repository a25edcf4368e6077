//! The suites that every steadfast adapter passes.
//!
//! What a framework promises holds only as far as its adapters keep their contracts. This crate
//! turns a contract into tests that run in *your* `cargo test`, one test per rule, each named by the
//! sentence that it proves. The adapters of this workspace pass the same suites, the ones in memory
//! too, so that what passes in a unit test is what happens in production.
//!
//! A store of your own: implement [`StoreHarness`](store::StoreHarness) and call [`store_suite!`].
//! A broker of your own: implement [`BrokerHarness`](broker::BrokerHarness) and call
//! [`broker_suite!`].

pub mod broker;
pub mod store;
