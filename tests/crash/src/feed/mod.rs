//! The brokers that a round can run on. See the crate's documentation for how to add one.

mod kafka;
mod mock;
mod rabbitmq;

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use steadfast::broker::Broker;
use tokio::time::timeout;

use crate::{Plan, round::PATIENCE};

/// Publishes the round's messages, once, before its workers start.
pub(crate) async fn load(plan: &Plan) -> Result<()> {
    match scheme(plan) {
        "amqp" => rabbitmq::load(plan).await,
        "kafka" => kafka::load(plan).await,
        "mock" => mock::load(plan),
        other => bail!("there is no broker `{other}` yet"),
    }
}

/// Takes the round away from the broker, which hundreds of them would slow down.
pub(crate) async fn unload(plan: &Plan) -> Result<()> {
    let unloading = async {
        match scheme(plan) {
            "amqp" => rabbitmq::unload(plan).await,
            "kafka" => kafka::unload(plan).await,
            _ => Ok(()),
        }
    };
    timeout(PATIENCE, unloading).await.context("the round cannot be taken away")?
}

/// Returns while the group of the workers is being rebalanced, or false where none was seen for some seconds.
pub(crate) fn waits_for_rebalance(plan: &Plan) -> Result<bool> {
    match scheme(plan) {
        "kafka" => kafka::waits_for_rebalance(plan),
        other => bail!("`{other}` has no groups that are rebalanced"),
    }
}

/// The broker, for a worker.
pub(crate) async fn open(plan: &Plan) -> Result<Arc<dyn Broker>> {
    match scheme(plan) {
        "amqp" => rabbitmq::open(plan),
        "kafka" => Ok(kafka::open(plan)),
        "mock" => Ok(mock::open(plan)),
        other => bail!("there is no broker `{other}` yet"),
    }
}

/// The broker, for somebody whom nothing happens to.
pub(crate) async fn look(plan: &Plan) -> Result<Arc<dyn Broker>> {
    match scheme(plan) {
        "amqp" => rabbitmq::look(plan),
        _ => open(plan).await,
    }
}

/// Whether what is in the broker is there without the workers too.
pub(crate) fn outlives_workers(plan: &Plan) -> bool {
    scheme(plan) != "mock"
}

pub(crate) fn scheme(plan: &Plan) -> &str {
    plan.broker.split_once("://").map_or(plan.broker.as_str(), |(scheme, _)| scheme)
}
