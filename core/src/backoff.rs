//! How long to wait before the next attempt: a pure function of the attempt and a random number.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// A schedule of waits.
#[derive(Clone)]
pub struct Backoff(Schedule);

#[derive(Clone)]
enum Schedule {
    Exponential { first: Duration, cap: Duration, floor: Duration },
    Fixed(Duration),
    Custom(Arc<CustomFn>),
}

type CustomFn = dyn Fn(u32) -> Option<Duration> + Send + Sync;

impl Backoff {
    /// Doubles from `first` up to `cap`, with full jitter: each wait is drawn evenly between the
    /// [floor](Backoff::floor) and the doubled value (M. Brooker, "Exponential Backoff And Jitter",
    /// 2015), so that messages that failed together do not come back together.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::Backoff;
    ///
    /// let backoff = Backoff::exponential(Duration::from_millis(200), Duration::from_secs(30));
    /// assert_eq!(backoff.longest(1), Duration::from_millis(200));
    /// assert_eq!(backoff.longest(4), Duration::from_millis(1600));
    /// assert_eq!(backoff.longest(u32::MAX), Duration::from_secs(30));
    /// ```
    pub const fn exponential(first: Duration, cap: Duration) -> Self {
        Self(Schedule::Exponential { first, cap, floor: Duration::ZERO })
    }

    /// The same wait each time.
    pub const fn fixed(wait: Duration) -> Self {
        Self(Schedule::Fixed(wait))
    }

    /// A schedule of your own: the wait after the failed attempt of this number, from 1; `None`
    /// gives up.
    pub fn custom(wait: impl Fn(u32) -> Option<Duration> + Send + Sync + 'static) -> Self {
        Self(Schedule::Custom(Arc::new(wait)))
    }

    /// Takes over a policy of the `backoff` crate: `make` makes a fresh one, which is asked as many
    /// times as attempts have failed. Its own limit on elapsed time has no meaning across
    /// processes; set [`Retry::max_age`](crate::Retry::max_age) instead.
    #[cfg(feature = "backoff")]
    pub fn of_policy<B: backoff::backoff::Backoff>(
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        /// Policies without an end are not asked more often than this.
        const MOST_STEPS: u32 = 1000;
        Self::custom(move |attempt| {
            let mut policy = make();
            let steps = attempt.clamp(1, MOST_STEPS);
            (0..steps).map(|_| policy.next_backoff()).last().flatten()
        })
    }

    /// Sets the shortest wait of an exponential schedule. Other schedules are unchanged.
    #[must_use]
    pub const fn floor(mut self, shortest: Duration) -> Self {
        if let Schedule::Exponential { ref mut floor, .. } = self.0 {
            *floor = shortest;
        }
        self
    }

    /// The wait after the failed attempt of this number (from 1), for a random number in `0..1`.
    /// `None` gives up, which only custom schedules do.
    pub fn wait(&self, attempt: u32, random: f64) -> Option<Duration> {
        match &self.0 {
            Schedule::Exponential { floor, .. } => {
                let ceiling = self.longest(attempt);
                let floor = (*floor).min(ceiling);
                let above = (ceiling - floor).as_secs_f64() * random.clamp(0.0, 1.0);
                let above = Duration::try_from_secs_f64(above).unwrap_or(ceiling);
                Some(floor.saturating_add(above).min(ceiling))
            }
            Schedule::Fixed(wait) => Some(*wait),
            Schedule::Custom(wait) => ask(&**wait, attempt),
        }
    }

    /// What does not fit in the schedule, and what would.
    pub(crate) fn misfit(&self) -> Option<(String, &'static str)> {
        match &self.0 {
            Schedule::Exponential { first, cap, .. } if first > cap => Some((
                format!("exponential from {first:?} up to {cap:?}"),
                "the first wait, and then the longest, which is not shorter",
            )),
            Schedule::Exponential { cap, floor, .. } if floor > cap => Some((
                format!("exponential up to {cap:?} with a floor of {floor:?}"),
                "a floor, the shortest wait, that is not longer than the longest",
            )),
            _ => None,
        }
    }

    /// The longest wait that can follow the failed attempt of this number.
    pub fn longest(&self, attempt: u32) -> Duration {
        match &self.0 {
            Schedule::Exponential { first, cap, floor } => {
                let doublings = attempt.saturating_sub(1).min(31);
                first.saturating_mul(1 << doublings).min(*cap).max((*floor).min(*cap))
            }
            Schedule::Fixed(wait) => *wait,
            Schedule::Custom(wait) => ask(&**wait, attempt).unwrap_or_default(),
        }
    }
}

/// Asks a schedule of the user's, which may panic (P11).
fn ask(wait: &CustomFn, attempt: u32) -> Option<Duration> {
    const INSTEAD: Duration = Duration::from_secs(30);
    catch_unwind(AssertUnwindSafe(|| wait(attempt))).unwrap_or_else(|_| {
        tracing::error!(attempt, "the custom backoff panicked");
        Some(INSTEAD)
    })
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Schedule::Exponential { first, cap, floor } => {
                write!(f, "exponential({first:?}, {cap:?}, floor {floor:?})")
            }
            Schedule::Fixed(wait) => write!(f, "fixed({wait:?})"),
            Schedule::Custom(_) => f.write_str("custom"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn durations() -> impl Strategy<Value = Duration> {
        prop_oneof![
            (0u64..100_000).prop_map(Duration::from_millis),
            any::<u64>().prop_map(Duration::from_secs),
            Just(Duration::MAX),
        ]
    }

    proptest! {
        #[test]
        fn waits_stay_between_floor_and_cap_at_any_attempt(
            first in durations(), cap in durations(), floor in durations(),
            attempt: u32, random in 0.0..=1.0f64,
        ) {
            let backoff = Backoff::exponential(first, cap).floor(floor);
            let wait = backoff.wait(attempt, random).unwrap();
            prop_assert!(wait <= cap);
            prop_assert!(wait >= floor.min(cap));
            prop_assert!(wait <= backoff.longest(attempt));
        }

        #[test]
        fn the_ceiling_never_falls(first in durations(), cap in durations(), attempt in 0..u32::MAX) {
            let backoff = Backoff::exponential(first, cap);
            prop_assert!(backoff.longest(attempt) <= backoff.longest(attempt + 1));
        }
    }

    #[test]
    fn full_jitter_reaches_both_ends() {
        let backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(backoff.wait(3, 0.0), Some(Duration::ZERO));
        assert_eq!(backoff.wait(3, 1.0), Some(Duration::from_secs(4)));
    }

    #[cfg(feature = "backoff")]
    #[test]
    fn a_policy_of_the_backoff_crate_is_followed() {
        let backoff =
            Backoff::of_policy(|| backoff::backoff::Constant::new(Duration::from_secs(3)));
        assert_eq!(backoff.wait(7, 0.5), Some(Duration::from_secs(3)));
        let stop = Backoff::of_policy(|| backoff::backoff::Stop {});
        assert_eq!(stop.wait(1, 0.5), None);
    }
}
