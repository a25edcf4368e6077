//! The suite for stores.
//!
//! Three steps prove a [`Store`](steadfast::store::Store) of your own:
//!
//! 1. Implement [`StoreHarness`]: how to get a store, how to let time pass, and, if it lends
//!    transactions, how to make an effect and how to count it.
//! 2. Call [`store_suite!`](crate::store_suite): each of the [`cases`] becomes a test.
//! 3. Call [`history::check`] with a few hundred seeds: random workers that crash, pause beyond their
//!    lease and repeat lost calls, each answer checked against a model of the contract.
//!
//! [`MemoryHarness`] does this for [`MemoryStore`](steadfast::store::MemoryStore) and is the example
//! to follow.

pub mod cases;
pub mod history;

mod harness;
mod memory;
mod records;
mod suite;
mod write;

pub use self::{harness::StoreHarness, memory::MemoryHarness};
pub(crate) use self::{records::Records, write::Write};
