//! Charges cards, each order once.

use std::{future::Future, time::Duration};

use serde::{Deserialize, Serialize};
use steadfast::{Builder, Consumer, Context, Handler, HandlerError, store::MemoryStore};

/// What is published.
#[derive(Serialize, Deserialize)]
pub struct Order {
    /// The same however often the order is published.
    pub id: String,
    /// What it costs.
    pub cents: u64,
}

/// What the handler calls: a trait, so that a test can be the bank.
pub trait Bank: Send + Sync + 'static {
    /// Charges the card of the order. The key tells the bank a repetition from a new order.
    fn charge(
        &self,
        order: &Order,
        key: &[u8],
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// Charges cards.
#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = "id",
    retry(max_attempts = 5, backoff = exponential("200ms", "30s")),
    timeout = "10s"
)]
pub struct ChargeCard<B: Bank> {
    bank: B,
}

impl<B: Bank> Handler for ChargeCard<B> {
    type Message = Order;

    async fn handle(&self, order: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let key = cx.dedup_key().cloned().unwrap_or_default();
        self.bank.charge(&order, &key).await
    }
}

/// The consumer; the program gives it a durable store.
pub fn charge_card<B: Bank>(bank: B) -> Builder<ChargeCard<B>> {
    Consumer::of(ChargeCard { bank }).store(MemoryStore::new()).drain(Duration::from_secs(5))
}
