//! The suite on the mock broker, with each of the settings that make it resemble one real broker or
//! another.

#[path = "mock_broker/harness.rs"]
mod harness;
#[path = "mock_broker/real_time.rs"]
mod real_time;

use std::{sync::Arc, time::Duration};

use harness::MockHarness;
use steadfast_conformance::{
    broker::{Verdict, cases},
    broker_suite,
};
use steadfast_mock::MockBroker;

type Settings = fn(MockBroker) -> MockBroker;

const SECOND: Duration = Duration::from_secs(1);

/// A module of tests for each, in virtual time, and a list of all.
macro_rules! mocks {
    ($($(#[$says:meta])* $name:ident: $settings:expr;)*) => {
        $(
            $(#[$says])*
            mod $name {
                use super::*;
                broker_suite!(mock($settings), start_paused = true);
            }
        )*

        const MOCKS: &[(&str, Settings)] = &[$((stringify!($name), $settings)),*];
    };
}

mocks! {
    plain: |mock| mock;
    ordered: |mock| mock.ordered();
    delays_by_copy: |mock| mock.delays_by_copy();
    copies_with_new_ids: |mock| mock.delays_by_copy().without_stable_ids();
    without_delay: |mock| mock.without_delay();
    short_delays: |mock| mock.max_delay(5 * SECOND);
    without_delivery_counts: |mock| mock.without_delivery_counts();
    fixed_hold: |mock| mock.fixed_hold(30 * SECOND);
    unlimited_hold: |mock| mock.unlimited_hold();
    short_hold: |mock| mock.visibility(3 * SECOND);
    limited_extensions: |mock| mock.visibility(10 * SECOND).visibility_in_total(100 * SECOND);
    delivery_limit: |mock| mock.delivery_limit(20);
    small_messages: |mock| mock.max_message_bytes(32 << 10);
    strict_topics: |mock| mock.strict_topics();

    /// A RabbitMQ queue of the classic type.
    like_a_queue: |mock| mock.unlimited_hold().delays_by_copy().without_delivery_counts();
    /// A Kafka topic: it neither counts nor delays.
    like_a_log: |mock| {
        mock.ordered().unlimited_hold().without_delay().without_delivery_counts()
    };
}

/// No case is there for nothing.
#[test]
fn every_case_is_proved_on_one_mock_at_least() {
    for case in cases::all() {
        let proves = |(_, settings): &(&str, Settings)| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime needs nothing");
            runtime.block_on(async { case.run(&mock(*settings)).await }) == Verdict::Proved
        };
        assert!(MOCKS.iter().any(proves), "{}::{}", case.topic(), case.name());
    }
}

fn mock(settings: Settings) -> MockHarness {
    MockHarness::around(settings(MockBroker::new()), |mock| Arc::new(mock))
}
