//! Between AMQP's messages and ours.
//!
//! An AMQP table has no order and no repeated names, and its values have types; ours has order,
//! repetition and bytes. What does not fit travels under reserved names, in both directions, so that a
//! message that is given back is the message that was taken.

mod from_amqp;
mod to_amqp;
mod typed;

pub(crate) use self::{
    from_amqp::{Incoming, incoming},
    to_amqp::{Outgoing, outgoing},
};

#[cfg(test)]
mod tests;
