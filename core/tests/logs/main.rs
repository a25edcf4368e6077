//! What a consumer logs, and what it does not.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod captured;
mod health;
mod secrets;
mod warnings;

// A process of its own: whether a log line is made at all is decided once for a process.
#[path = "../promises/support.rs"]
#[allow(dead_code, reason = "shared with the promises, which use the rest")]
mod support;
