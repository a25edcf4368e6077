//! What goes wrong at the broker and at the store, by seed.

use std::{sync::Arc, time::Duration};

use steadfast::store::Store;
use steadfast_mock::{Chaos, FaultyStore, MockBroker};

/// How long the broker waits for an ack before it delivers again: short, so that lost acks show.
const VISIBILITY: Duration = Duration::from_secs(1);
/// Copies before the first strike, and between strikes.
const FIRST_STRIKE: u64 = 1_000;
const STRIKES: u64 = 50_000;

/// The embedded broker: loses acks, delivers twice, fails publishes and loses their confirmations.
pub(crate) fn broker(seed: u64) -> MockBroker {
    let broker = MockBroker::new().seed(seed).visibility(VISIBILITY).forget_settled();
    let chaos = Chaos::none(seed)
        .lost_acks(0.002)
        .duplicates(0.01)
        .failed_publishes(0.0002)
        .lost_confirms(0.0002);
    broker.faults().chaos(chaos);
    broker
}

/// Now and then breaks all connections, fails a settlement, and loses a reply of the store.
pub(crate) fn strike(
    sent: u64,
    embedded: Option<&MockBroker>,
    store: &FaultyStore<Arc<dyn Store>>,
) {
    if sent % STRIKES == FIRST_STRIKE {
        if let Some(broker) = embedded {
            broker.faults().fail_settles(1).disconnect();
        }
        store.lose_replies(1);
    }
}
