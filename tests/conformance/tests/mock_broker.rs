//! The suite on the mock broker, in virtual time, with each of the settings that make it resemble
//! one real broker or another.

#[path = "mock_broker/harness.rs"]
mod harness;

use std::time::Duration;

use harness::MockHarness;
use steadfast_conformance::broker_suite;

const SECOND: Duration = Duration::from_secs(1);

mod plain {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock), start_paused = true);
}

mod ordered {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock.ordered()), start_paused = true);
}

mod delays_by_copy {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock.delays_by_copy()), start_paused = true);
}

mod ordered_with_delays_by_copy {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock.ordered().delays_by_copy()), start_paused = true);
}

mod copies_with_new_ids {
    use super::*;
    broker_suite!(
        MockHarness::new(|mock| mock.delays_by_copy().without_stable_ids()),
        start_paused = true
    );
}

mod without_delay {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock.without_delay()), start_paused = true);
}

mod short_delays {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock.max_delay(5 * SECOND)), start_paused = true);
}

mod without_delivery_counts {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock.without_delivery_counts()), start_paused = true);
}

mod fixed_hold {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock.fixed_hold(30 * SECOND)), start_paused = true);
}

mod unlimited_hold {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock.unlimited_hold()), start_paused = true);
}

mod limited_extensions {
    use super::*;
    broker_suite!(
        MockHarness::new(|mock| mock.visibility(10 * SECOND).visibility_in_total(100 * SECOND)),
        start_paused = true
    );
}

mod delivery_limit {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock.delivery_limit(20)), start_paused = true);
}

mod small_messages {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock.max_message_bytes(32 << 10)), start_paused = true);
}

mod strict_topics {
    use super::*;
    broker_suite!(MockHarness::new(|mock| mock.strict_topics()), start_paused = true);
}

/// RabbitMQ as it is most often used.
mod like_a_queue {
    use super::*;
    broker_suite!(
        MockHarness::new(|mock| mock.unlimited_hold().delays_by_copy().without_delivery_counts()),
        start_paused = true
    );
}

/// Kafka: a log that neither counts nor delays.
mod like_a_log {
    use super::*;
    broker_suite!(
        MockHarness::new(|mock| {
            mock.ordered().unlimited_hold().without_delay().without_delivery_counts()
        }),
        start_paused = true
    );
}
