//! Points in time that no duration can overflow.

use std::time::Duration;

use tokio::time::Instant;

/// A century: as good as never, and within what every clock can say.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// So long from now, at most a century.
pub(crate) fn from_now(after: Duration) -> Instant {
    later(Instant::now(), after)
}

/// So long after `time`, at most a century.
pub(crate) fn later(time: Instant, after: Duration) -> Instant {
    time + after.min(NEVER)
}

/// A period that an interval can be made of.
pub(crate) fn period(length: Duration) -> Duration {
    length.clamp(Duration::from_millis(1), NEVER)
}

/// Waits until then, or for ever where there is no such time. Cancel safe.
pub(crate) async fn reach(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
