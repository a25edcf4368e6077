//! Waiting for conditions. Nothing here waits for a length of time to pass.

use std::{future::Future, time::Duration};

use tokio::time::{sleep, timeout};

/// Waits for this, and fails the case when it has not come in time.
pub(crate) async fn within<T>(limit: Duration, what: &str, awaited: impl Future<Output = T>) -> T {
    match timeout(limit, awaited).await {
        Ok(value) => value,
        Err(_) => panic!("waited {limit:?} in vain for {what}"),
    }
}

/// Asks until the answer is there, and fails the case when it has not come in time.
pub(crate) async fn until_some<T>(
    limit: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(BETWEEN_QUESTIONS).await;
        }
    };
    within(limit, what, asking).await
}

/// For what cannot ring a bell.
pub(crate) const BETWEEN_QUESTIONS: Duration = Duration::from_millis(20);

/// How much earlier a delay may seem to end than it was asked to: two clocks, and milliseconds cut
/// off on the way.
pub(crate) const CLOCK_DIFFERENCE: Duration = Duration::from_millis(20);
