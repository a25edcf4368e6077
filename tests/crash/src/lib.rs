//! Kills real consumers on real servers, and counts what was lost, doubled, disordered or stuck.
//!
//! A [`Round`] starts several processes of one worker, `crash-worker`: a real consumer, with the store on a
//! real PostgreSQL. They work on the same messages at the same time, and are killed (SIGKILL) and stopped
//! (SIGSTOP) at named [points](Point) and at random, and started again; the database, the broker and the
//! network may be struck around them. The round ends when every record is done or dead, or fails when that
//! takes too long. What the handlers did stands in a [ledger](Ledger) that has no unique key, so that nothing
//! hides what was done twice, and the [`Outcome`] is judged by one verdict, whatever the broker.
//!
//! Everything at random follows from the round's seed, which a failure names.
//!
//! # Adding a broker
//!
//! All that knows a broker is the folder `feed`: one file each, with two functions, and a line in each of
//! the two `match`es of `feed/mod.rs`.
//!
//! | function | who calls it | what it does |
//! |---|---|---|
//! | `load` | the test, once a round, before the workers | makes the round's topic or queues, empty, and publishes [`Plan::message`] of every number |
//! | `open` | each worker, whenever it starts | the [`Broker`](steadfast::broker::Broker), connected to [`Plan::broker`] |
//!
//! [`Plan::topic`], [`Plan::dead_letters`] and [`Plan::group`] are the names, new for each round. Then write
//! `tests/<broker>.rs` like `tests/postgres.rs`, with a [`Suite`] on that address. The mock broker lives in the worker's
//! own process and is loaded with every message at each start: what was acknowledged comes again.

mod feed;
mod handler;
mod ledger;
mod letters;
mod line;
mod memory;
mod outcome;
mod plan;
mod point;
mod poison;
mod round;
mod slot;
mod suite;
mod sums;
mod witness;
mod work;

pub use self::{
    ledger::{Entry, Ledger},
    letters::Letters,
    line::{Event, Line},
    memory::peak_memory,
    outcome::Outcome,
    plan::{Mode, Plan},
    point::{Action, Fault, Point},
    poison::{PANIC, Poison},
    round::{Blow, Disturbance, Round, Strike},
    suite::Suite,
    work::work,
};
