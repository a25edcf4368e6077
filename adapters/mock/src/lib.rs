//! A broker in memory and virtual time, as strict as real ones, for testing steadfast consumers.
//!
//! A handler's test needs no server, and a retry after an hour takes a millisecond:
//!
//! ```
//! use steadfast::{Consumer, HandlerError, handler_fn};
//! use steadfast_mock::MockBroker;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a test: #[tokio::test(start_paused = true)]
//! # let charge = handler_fn(|_: String| async { Err(HandlerError::transient("no network")) });
//! # let charge = Consumer::builder("charge", charge).source("orders").group("billing");
//! # let charge = charge.dead_letter("orders.dead");
//! let broker = MockBroker::new();
//! broker.publish_json("orders", "order-7");
//! let _running = broker.start(charge.build(broker.clone())?); // `charge`: your consumer's builder
//! broker.settled("orders").await;
//! broker.dead_letters("orders.dead").expect_one().with_reason("exhausted").after_attempts(5);
//! # Ok(())
//! # }
//! ```
//!
//! | to | use |
//! |---|---|
//! | make it resemble your broker | the settings of [`MockBroker`], such as [`ordered`](MockBroker::ordered) |
//! | wait for something | [`MockBroker::settled`], [`MockBroker::until`]; never a sleep |
//! | see what came of it | [`MockBroker::dead_letters`], [`MockBroker::messages`] and their neighbours |
//! | let something go wrong | [`MockBroker::faults`], [`Chaos`] for anything at random |
//! | kill the consumer | [`MockBroker::crash_at`] and [`Running::kill`] |
//! | let the store go wrong | [`FaultyStore`] |
//! | let the handler go wrong | [`middleware`] |
//!
//! Everything is decided by virtual time and seeds, so that on a runtime of one thread, the default
//! of `#[tokio::test]`, a test that fails fails again. Virtual time does not pass while a thread
//! works or blocks, so a store on a real server needs the real clock.

mod assertions;
mod broker;
mod chaos;
mod clock;
mod config;
mod crash;
mod dead_letters;
mod faults;
pub mod middleware;
mod publish;
mod queue;
mod running;
mod seeded;
mod settle;
mod source;
mod state;
mod store;
mod topic;

pub use self::{
    broker::MockBroker,
    chaos::Chaos,
    crash::Point,
    dead_letters::{DeadLetter, DeadLetters},
    faults::Faults,
    running::Running,
    store::{Call, FaultyStore, StorePoint},
};
