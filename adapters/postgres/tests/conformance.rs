//! The store passes the suite on a real server.

mod support;

use std::time::{Duration, Instant};

use steadfast::store::{Answer, Claim, Digest, Store as _};
use steadfast_conformance::store_suite;
use tokio::time::sleep;

use crate::support::{HOUR, clock::StoppedClock, granted, id, scratch};

store_suite!(StoppedClock::default());

/// On the server's own clock: not before.
#[tokio::test]
async fn a_lease_lasts_as_long_as_was_asked_for() {
    const LEASE: Duration = Duration::from_secs(1);
    let scratch = scratch().await;
    let store = scratch.store();
    let claim = Claim::new(id("a"), Digest::of(None), LEASE, HOUR);
    let asked = Instant::now();
    assert!(matches!(store.claim(&claim).await.unwrap(), Answer::Granted(_)));
    let other = Claim::new(id("a"), Digest::of(None), LEASE, HOUR);
    while let Answer::Busy(wait) = store.claim(&other).await.unwrap() {
        assert!(wait <= LEASE, "{wait:?}");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(asked.elapsed() >= LEASE, "{:?}", asked.elapsed());
    let again = granted(&store, "b").await;
    assert_eq!(again.attempts, 1);
}
