//! What one message costs in memory, ready to be counted: this consumer stack, and the best peer's.
//!
//! A [`Case`] is started, its queue is filled, and then [`measured`] empties it. Two programs run
//! that, one under callgrind and one with an allocator that counts; `cargo xtask bench core` takes
//! the difference between a short and a long run, in which all that happens once cancels.

mod case;
mod latch;
mod peer;
mod queue;
mod region;
mod shop;
mod stack;

pub use self::{
    case::{Case, Prepared},
    region::measured,
};
