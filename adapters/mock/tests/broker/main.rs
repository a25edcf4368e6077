//! The broker as a consumer meets it.

mod assertions;
mod crashes;
mod delays;
mod delivery;
#[allow(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]
mod driver;
mod faults;
mod holds;
mod ordering;
mod publishing;
