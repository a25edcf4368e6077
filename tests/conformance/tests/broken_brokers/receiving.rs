//! Breaches in what comes out of a source.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use steadfast::{
    Delivery, Headers,
    broker::{BrokerError, Capabilities, Demand, Settle, SettleError, Settlement, Source},
};

use crate::bent::{Breach, Memory};

/// Drops all headers.
pub(crate) struct LosesHeaders;

impl Breach for LosesHeaders {
    fn deliver(&self, delivery: &mut Delivery) {
        delivery.message.headers = Headers::new();
    }
}

/// Keeps headers in a map.
pub(crate) struct MapsHeaders;

impl Breach for MapsHeaders {
    fn deliver(&self, delivery: &mut Delivery) {
        let map: BTreeMap<String, Bytes> = delivery
            .message
            .headers
            .iter()
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
        delivery.message.headers = map.into_iter().collect();
    }
}

/// Adds headers of its own.
pub(crate) struct AddsHeaders;

impl Breach for AddsHeaders {
    fn deliver(&self, delivery: &mut Delivery) {
        delivery.message.headers.append("x-delivered-by", "a broker");
    }
}

/// Takes payloads for text.
pub(crate) struct ReadsText;

impl Breach for ReadsText {
    fn deliver(&self, delivery: &mut Delivery) {
        let text = |bytes: Bytes| Bytes::from(String::from_utf8_lossy(&bytes).into_owned());
        delivery.message.payload = delivery.message.payload.take().map(text);
    }
}

/// Takes keys for text.
pub(crate) struct ReadsTextKeys;

impl Breach for ReadsTextKeys {
    fn deliver(&self, delivery: &mut Delivery) {
        let text = |bytes: Bytes| Bytes::from(String::from_utf8_lossy(&bytes).into_owned());
        delivery.message.key = delivery.message.key.take().map(text);
    }
}

/// Knows no tombstones.
pub(crate) struct FillsTombstones;

impl Breach for FillsTombstones {
    fn deliver(&self, delivery: &mut Delivery) {
        delivery.message.payload.get_or_insert_default();
    }
}

/// Knows no messages without a key.
pub(crate) struct FillsKeys;

impl Breach for FillsKeys {
    fn deliver(&self, delivery: &mut Delivery) {
        delivery.message.key.get_or_insert_default();
    }
}

/// Says that every delivery is the first.
pub(crate) struct CountsToOne;

impl Breach for CountsToOne {
    fn deliver(&self, delivery: &mut Delivery) {
        delivery.broker_deliveries = Some(1);
    }
}

/// Counts, and claims that it does not.
pub(crate) struct CountsInSecret;

impl Breach for CountsInSecret {
    fn claim(&self, capabilities: &mut Capabilities) {
        capabilities.counts_deliveries = false;
    }
}

/// Gives every delivery another message id.
#[derive(Default)]
pub(crate) struct RenamesMessages(AtomicU32);

impl Breach for RenamesMessages {
    fn deliver(&self, delivery: &mut Delivery) {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        delivery.origin.message_id = Some(format!("{number}"));
    }
}

/// Says that everything was published in 1970.
pub(crate) struct ForgetsTime;

impl Breach for ForgetsTime {
    fn deliver(&self, delivery: &mut Delivery) {
        delivery.origin.published_at = Some(SystemTime::UNIX_EPOCH);
    }
}

/// Names the topic as its own tools do, not as one publishes to it.
pub(crate) struct NamesTopicsOtherwise;

impl Breach for NamesTopicsOtherwise {
    fn deliver(&self, delivery: &mut Delivery) {
        delivery.origin.source = format!("topics/{}", delivery.origin.source).into();
    }
}

/// Gives more messages than asked for.
pub(crate) struct ExceedsDemand;

#[async_trait]
impl Breach for ExceedsDemand {
    async fn receive(
        &self,
        source: &dyn Source,
        demand: Demand,
    ) -> Result<Vec<Delivery>, BrokerError> {
        source.receive(Demand::new(demand.messages * 2, demand.bytes)).await
    }
}

/// Counts messages, and no bytes.
pub(crate) struct IgnoresBytes;

#[async_trait]
impl Breach for IgnoresBytes {
    async fn receive(
        &self,
        source: &dyn Source,
        demand: Demand,
    ) -> Result<Vec<Delivery>, BrokerError> {
        source.receive(Demand::new(demand.messages, usize::MAX)).await
    }
}

/// Fetches ahead as much as it can, and hands out one at a time.
#[derive(Default)]
pub(crate) struct FetchesAhead(Memory<Vec<Delivery>>);

#[async_trait]
impl Breach for FetchesAhead {
    async fn receive(
        &self,
        source: &dyn Source,
        _demand: Demand,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let ready = self.0.lock().pop();
        if let Some(delivery) = ready {
            return Ok(vec![delivery]);
        }
        let mut fetched = source.receive(Demand::new(1000, usize::MAX)).await?;
        fetched.reverse();
        let first = fetched.pop();
        self.0.lock().extend(fetched);
        Ok(first.into_iter().collect())
    }

    fn subscribe(&self, subscription: &mut steadfast::broker::Subscription) {
        subscription.max_messages = 1000;
    }
}

/// Commits what it hands out.
pub(crate) struct AcksOnReceipt;

#[async_trait]
impl Breach for AcksOnReceipt {
    async fn receive(
        &self,
        source: &dyn Source,
        demand: Demand,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let deliveries = source.receive(demand).await?;
        let copy = |delivery: &Delivery| {
            let (message, origin) = (delivery.message.clone(), delivery.origin.clone());
            Settle::new(Delivery::new(message, origin, delivery.receipt), Settlement::Ack)
        };
        let acks: Vec<Settle> = deliveries.iter().map(copy).collect();
        let _ = source.settle(&acks).await;
        Ok(deliveries)
    }

    async fn settle(&self, _source: &dyn Source, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        batch.iter().map(|_| Ok(())).collect()
    }
}
