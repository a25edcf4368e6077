//! The core's defaults, for rules about two settings of which one is not said.

use std::time::Duration;

use crate::attr::Given;

pub(super) const CONCURRENCY: usize = 16;
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const GRACE: Duration = Duration::from_secs(2);
pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const LEASE_CAP: Duration = Duration::from_secs(60 * 60);
pub(super) const RETENTION: Duration = Duration::from_secs(15 * 24 * 60 * 60);
pub(super) const MAX_ATTEMPTS: u32 = 5;
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(200);
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What was given, or the default.
pub(super) fn or<T: Copy>(given: Option<&Given<T>>, default: T) -> T {
    given.map_or(default, |given| given.value)
}
