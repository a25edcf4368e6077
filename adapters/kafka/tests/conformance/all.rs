//! Many cases in one test.

use std::{
    collections::BTreeSet,
    env, iter,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    thread,
    time::Instant,
};

use steadfast_conformance::broker::{Verdict, cases};
use tracing_subscriber::EnvFilter;

use crate::support::KafkaHarness;

/// Runs the cases of these topics, or all, so many at a time, each on a harness and a runtime of its own.
/// With `STEADFAST_CASE` set to the name of one, that one only, as often as `STEADFAST_TIMES` says; what
/// `RUST_LOG` names is shown.
///
/// # Panics
/// With the names of those that fail, and when others than these are not proved.
pub(crate) fn pass(
    topics: Option<&[&str]>,
    at_a_time: usize,
    not_proved: &[&str],
    make: impl AsyncFn() -> KafkaHarness + Sync,
) {
    let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env());
    let _ = log.try_init();
    let mut cases: Vec<_> = cases::all()
        .into_iter()
        .filter(|case| topics.is_none_or(|topics| topics.contains(&case.topic())))
        .collect();
    assert!(!cases.is_empty(), "no topic of {topics:?} has a case");
    let only = env::var("STEADFAST_CASE").ok();
    if let Some(only) = &only {
        let times = env::var("STEADFAST_TIMES").map_or(1, |times| times.parse().expect("a number"));
        cases.retain(|case| case.name() == only);
        cases = cases.iter().flat_map(|case| iter::repeat_n(*case, times)).collect();
    }
    let (waiting, failed) = (Mutex::new(cases), Mutex::new(Vec::new()));
    let unproved = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no case runs under the lock").pop();
                    let Some(case) = next else { return };
                    let began = Instant::now();
                    let verdict = catch_unwind(AssertUnwindSafe(|| {
                        let runtime = tokio::runtime::Builder::new_multi_thread()
                            .worker_threads(2)
                            .enable_all()
                            .build()
                            .expect("a runtime");
                        runtime.block_on(async { case.run(&make().await).await })
                    }));
                    println!("{}::{} {:?}", case.topic(), case.name(), began.elapsed());
                    match verdict {
                        Ok(Verdict::Proved) => {}
                        Ok(_) => {
                            unproved.lock().expect("it only collects").insert(case.name());
                        }
                        Err(_) => failed.lock().expect("it only collects").push(case.name()),
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner().expect("it only collects"), [""; 0]);
    if only.is_some() {
        return;
    }
    let expected: BTreeSet<&str> = not_proved.iter().copied().collect();
    assert_eq!(unproved.into_inner().expect("it only collects"), expected, "not proved");
}
