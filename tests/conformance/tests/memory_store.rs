//! The store in memory passes the suite.

use steadfast_conformance::{
    store::{MemoryHarness, cases, history},
    store_suite,
};

store_suite!(MemoryHarness::new(), start_paused = true);

#[tokio::test(start_paused = true)]
async fn it_passes_random_histories() {
    let long = std::env::var_os("STEADFAST_LONG").is_some_and(|value| value == "1");
    let seeds = if long { 20_000 } else { 400 };
    for seed in 0..seeds {
        history::check(&MemoryHarness::new(), seed, 300).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_always_gives_the_same_history() {
    let run = || async { history::run(&MemoryHarness::new(), 7, 1_000).await };
    assert_eq!(run().await, run().await);
}

/// With a paused clock there is one thread, and calls never really meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_passes_the_cases_at_once_on_many_threads() {
    let harness = MemoryHarness::new();
    let all = cases::all();
    for case in all.iter().filter(|case| case.topic() == "at_once") {
        for _ in 0..20 {
            case.run(&harness).await;
        }
    }
}
