//! Many messages at the same time, for a while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{task::JoinSet, time::sleep};

/// Until connections are open and plans are made.
const WARM_UP: Duration = Duration::from_millis(300);

/// How long is measured.
const WHILE: Duration = Duration::from_millis(1200);

/// What became of a load.
pub(crate) struct Done {
    /// Messages a second, while it was measured.
    pub(crate) rate: f64,
    /// All messages, those before and after it too.
    pub(crate) messages: f64,
}

/// Keeps so many messages in flight, each in a task, as a consumer's workers do.
pub(crate) async fn run<F>(
    in_flight: usize,
    message: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> Result<Done>
where
    F: Future<Output = Result<()>> + Send,
{
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let (done, stop, message) = (Arc::clone(&done), Arc::clone(&stop), message.clone());
        tasks.spawn(async move {
            while !stop.load(Relaxed) {
                message().await?;
                done.fetch_add(1, Relaxed);
            }
            anyhow::Ok(())
        });
    }
    sleep(WARM_UP).await;
    let (began, before) = (Instant::now(), done.load(Relaxed));
    sleep(WHILE).await;
    let (measured, after) = (began.elapsed(), done.load(Relaxed));
    stop.store(true, Relaxed);
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    let rate = (after - before) as f64 / measured.as_secs_f64();
    Ok(Done { rate, messages: done.load(Relaxed) as f64 })
}

/// Takes so many messages, each once, by its number; how long that took.
pub(crate) async fn count<F>(
    in_flight: usize,
    messages: usize,
    message: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
) -> Result<Duration>
where
    F: Future<Output = Result<()>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for _ in 0..in_flight {
        let (next, message) = (Arc::clone(&next), message.clone());
        tasks.spawn(async move {
            loop {
                match next.fetch_add(1, Relaxed) {
                    index if index < messages => message(index).await?,
                    _ => return anyhow::Ok(()),
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(began.elapsed())
}
