//! The suite catches brokers that break the contract: each breach below is found by the case that is
//! named, and for the reason that is meant.

#[path = "mock_broker/harness.rs"]
mod harness;

#[path = "broken_brokers/bent.rs"]
mod bent;
#[path = "broken_brokers/publishing.rs"]
mod publishing;
#[path = "broken_brokers/receiving.rs"]
mod receiving;
#[path = "broken_brokers/sessions.rs"]
mod sessions;
#[path = "broken_brokers/settling.rs"]
mod settling;

fn survey() {}
