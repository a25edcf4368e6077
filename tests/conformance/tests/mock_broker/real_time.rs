//! The suite on a clock that is not paused, as real servers will have it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use steadfast_conformance::broker::cases;
use steadfast_mock::MockBroker;

use crate::harness::MockHarness;

/// Many cases at a time: they wait more than they work.
const AT_A_TIME: usize = 12;

#[test]
fn the_suite_does_not_need_virtual_time() {
    if std::env::var_os("STEADFAST_LONG").is_none() {
        return;
    }
    let waiting = Mutex::new(cases::all());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(case) = waiting.lock().unwrap().pop() else { return };
                    let ran = catch_unwind(AssertUnwindSafe(|| {
                        let runtime = tokio::runtime::Builder::new_multi_thread()
                            .worker_threads(2)
                            .enable_time()
                            .build()
                            .expect("a runtime needs nothing");
                        runtime.block_on(async { drop(case.run(&mock()).await) });
                    }));
                    if ran.is_err() {
                        failed.lock().unwrap().push(case.name());
                    }
                }
            });
        }
    });
    assert_eq!(*failed.lock().unwrap(), Vec::<&str>::new());
}

/// Holds end soon, since they are waited for.
fn mock() -> MockHarness {
    let mock = MockBroker::new().visibility(Duration::from_secs(3));
    let mut harness = MockHarness::around(mock, |mock| Arc::new(mock));
    harness.patience = Duration::from_secs(30);
    harness.delay = Duration::from_millis(200);
    harness
}
