//! Durations and times as the database holds them: whole microseconds.

use std::time::{Duration, SystemTime};

/// A century: as good as never, and within what PostgreSQL can add to a time.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.min(NEVER).as_micros()).unwrap_or(i64::MAX)
}

/// A wait, which may have passed by now.
pub(crate) fn wait(micros: i64) -> Duration {
    Duration::from_micros(micros.max(0).unsigned_abs())
}

pub(crate) fn time(epoch: Option<i64>) -> Option<SystemTime> {
    epoch.map(|micros| SystemTime::UNIX_EPOCH + wait(micros))
}
