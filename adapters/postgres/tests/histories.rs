//! Random histories agree with the store in memory, so that what is tested there is what happens
//! here.

mod support;

use steadfast_conformance::store::{MemoryHarness, history};
use tokio::task::JoinSet;

use crate::support::clock::StoppedClock;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_agree_with_the_store_in_memory() {
    const AT_ONCE: usize = 8;
    let long = std::env::var_os("STEADFAST_LONG").is_some_and(|value| value == "1");
    let seeds = if long { 2000 } else { 64 };
    let mut running = JoinSet::new();
    for seed in 0..seeds {
        if running.len() == AT_ONCE {
            running.join_next().await.expect("one of them").expect("no history fails");
        }
        running.spawn(async move {
            let here = history::run(&StoppedClock::default(), seed, 300).await;
            assert_eq!(here, in_memory(seed).await, "seed {seed}");
        });
    }
    while let Some(history) = running.join_next().await {
        history.expect("no history fails");
    }
}

/// In a paused runtime of its own.
async fn in_memory(seed: u64) -> Vec<history::Step> {
    let run = move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(history::run(&MemoryHarness::new(), seed, 300))
    };
    tokio::task::spawn_blocking(run).await.expect("the history in memory")
}
