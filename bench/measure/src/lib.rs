//! What the benchmarks of brokers measure with, so that all measure alike.

mod consume;
mod contest;
mod meter;
mod metered;
mod order;
mod process;
mod samples;
mod store;

pub use self::{
    consume::{Count, DEAD_LETTERS, consume, consumer, new_group},
    contest::{ROUNDS, Side, compare, in_turn},
    meter::{Measured, Meter},
    order::Order,
    samples::{progress, sample},
    store::{Memory, version},
};
