//! The suite for brokers, on real servers of both generations, with both types of queues.

mod harness;

use harness::{Harness, Kind};
use steadfast_conformance::broker_suite;
use steadfast_test_servers::Service;

macro_rules! suites {
    ($($name:ident: $service:ident, $kind:ident;)*) => {
        $(
            mod $name {
                use super::*;
                broker_suite!(
                    Harness::on(Service::$service, Kind::$kind).await,
                    flavor = "multi_thread",
                    worker_threads = 2
                );
            }
        )*
    };
}

suites! {
    quorum_3: RabbitMq, Quorum;
    classic_3: RabbitMq, Classic;
    quorum_4: RabbitMq4, Quorum;
    classic_4: RabbitMq4, Classic;
}
