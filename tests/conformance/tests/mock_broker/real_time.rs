//! The suite on a clock that is not paused, as real servers will have it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use steadfast_conformance::broker::cases::{self, Case};
use steadfast_mock::MockBroker;

use crate::{Settings, harness::MockHarness};

/// Many cases at a time: they wait more than they work.
const AT_A_TIME: usize = 8;

const HOLD: Duration = Duration::from_secs(3);

/// A redrive waits five seconds for the next letter, and holds are waited for: those take long.
#[test]
fn the_suite_does_not_need_virtual_time() {
    let long = std::env::var_os("STEADFAST_LONG").is_some_and(|value| value == "1");
    let short_ones = |case: &Case| long || case.topic() != "redrive";
    let cases: Vec<Case> = cases::all().into_iter().filter(short_ones).collect();
    assert_eq!(failing(&cases, |mock| mock.unlimited_hold()), [""; 0]);
    if long {
        assert_eq!(failing(&cases, |mock| mock.visibility(HOLD)), [""; 0]);
        assert_eq!(failing(&cases, |mock| mock.ordered().visibility(HOLD)), [""; 0]);
    }
}

/// The cases that fail.
fn failing(cases: &[Case], settings: Settings) -> Vec<&'static str> {
    let waiting = Mutex::new(cases.to_vec());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no case runs under the lock").pop();
                    let Some(case) = next else { return };
                    if catch_unwind(AssertUnwindSafe(|| run(&case, settings))).is_err() {
                        failed.lock().expect("no case runs under the lock").push(case.name());
                    }
                }
            });
        }
    });
    failed.into_inner().expect("no case runs under the lock")
}

fn run(case: &Case, settings: Settings) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime needs nothing");
    runtime.block_on(async {
        let mock = settings(MockBroker::new());
        let mut harness = MockHarness::around(mock, |mock| Arc::new(mock));
        harness.patience = Duration::from_secs(60);
        harness.delay = Duration::from_millis(400);
        // What is not proved on this mock is said by the tests in virtual time.
        let _ = case.run(&harness).await;
    });
}
