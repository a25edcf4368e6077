//! The mocks within the broken brokers.

use std::time::Duration;

use steadfast_mock::MockBroker;

pub(crate) type Settings = fn(MockBroker) -> MockBroker;

pub(crate) fn plain(mock: MockBroker) -> MockBroker {
    mock
}

pub(crate) fn ordered(mock: MockBroker) -> MockBroker {
    mock.ordered()
}

pub(crate) fn reordering(mock: MockBroker) -> MockBroker {
    mock.faults().reorder();
    mock
}

pub(crate) fn delays_by_copy(mock: MockBroker) -> MockBroker {
    mock.delays_by_copy()
}

pub(crate) fn small_messages(mock: MockBroker) -> MockBroker {
    mock.max_message_bytes(32 << 10)
}

pub(crate) fn strict_topics(mock: MockBroker) -> MockBroker {
    mock.strict_topics()
}

pub(crate) fn short_delays(mock: MockBroker) -> MockBroker {
    mock.max_delay(Duration::from_secs(5))
}

pub(crate) fn limited_extensions(mock: MockBroker) -> MockBroker {
    mock.visibility(Duration::from_secs(10)).visibility_in_total(Duration::from_secs(100))
}
