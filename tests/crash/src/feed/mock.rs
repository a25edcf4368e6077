//! The mock broker, one in each worker: everything comes again at each start.

use std::sync::Arc;

use anyhow::Result;
use steadfast::broker::Broker;
use steadfast_mock::MockBroker;

use crate::Plan;

pub(super) fn load(_: &Plan) -> Result<()> {
    Ok(())
}

pub(super) fn open(plan: &Plan) -> Arc<dyn Broker> {
    let broker = MockBroker::new().unlimited_hold();
    for number in 0..plan.messages {
        broker.publish(&plan.topic(), plan.message(number));
    }
    Arc::new(broker)
}
