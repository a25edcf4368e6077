//! The promises, each with a test that fails when it is broken, through the whole consumer on the
//! mock broker in virtual time.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod bounds;
mod chaos;
mod dead_letters;
mod idempotency;
mod layers;
mod order;
mod outages;
mod outcomes;
mod picky;
mod redrive;
mod refused;
mod retries;
mod sessions;
mod shutdown;
mod slow;
mod support;
