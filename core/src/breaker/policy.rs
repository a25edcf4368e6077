//! When to take failures for an outage.

use std::time::Duration;

use crate::Backoff;

/// When to take failures for an outage.
#[derive(Debug, Clone)]
pub struct BreakerPolicy {
    pub(super) window: usize,
    pub(super) ratio: f64,
    pub(super) probes: Backoff,
    pub(super) believed_for: Duration,
}

impl Default for BreakerPolicy {
    /// Nine failures in ten over the last 20 messages, believed for 6 h; probes after 1 s, doubling
    /// up to 30 s.
    fn default() -> Self {
        let probes = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(30))
            .floor(Duration::from_millis(500));
        Self { window: 20, ratio: 0.9, probes, believed_for: Duration::from_secs(6 * 3600) }
    }
}

impl BreakerPolicy {
    /// Opens when, of the last `window` different messages, this share or more failed at their
    /// first attempt here. Fewer messages never open it, so a few poison messages do not.
    #[must_use]
    pub fn failure_ratio(mut self, ratio: f64, window: usize) -> Self {
        self.ratio = ratio;
        self.window = window;
        self
    }

    /// How long an outage is believed in that nobody has named, but that is inferred from failures.
    /// Until then its attempts are not counted. After that each probe is an attempt like any other,
    /// so that a stream of poison dies at the probes' pace instead of blocking the way for ever. An
    /// outage that a handler reports as unavailable is believed in for as long as it does; a probe
    /// that then fails otherwise is an attempt like any other.
    #[must_use]
    pub fn believed_for(mut self, length: Duration) -> Self {
        self.believed_for = length;
        self
    }

    /// Sets the waits between probes.
    #[must_use]
    pub fn probes(mut self, probes: Backoff) -> Self {
        self.probes = probes;
        self
    }

    /// The share, and of how many messages.
    pub(crate) fn opens_at(&self) -> (f64, usize) {
        (self.ratio, self.window)
    }

    pub(crate) fn schedule(&self) -> &Backoff {
        &self.probes
    }

    /// The share and the window, if no breaker can be made of them.
    pub(crate) fn misfit(&self) -> Option<String> {
        let fits = self.window > 0 && self.ratio > 0.0 && self.ratio <= 1.0;
        (!fits).then(|| format!("{} of {} messages", self.ratio, self.window))
    }
}
