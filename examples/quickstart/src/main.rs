//! The smallest consumer that bears duplicates, failures and bad input.

use serde::Deserialize;
use steadfast::{
    Consumer, Context, DedupKey, Handler, HandlerError, Message, Retry, Shutdown, Story,
    store::MemoryStore,
};
use steadfast_mock::MockBroker;

#[derive(Deserialize)]
struct Order {
    id: String,
    cents: u64,
}

struct ChargeCard;

impl Handler for ChargeCard {
    type Message = Order;

    async fn handle(&self, order: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        if order.id == "A2" && cx.attempt() == 1 {
            println!("A2: no answer from the bank, to be tried again");
            return Err(HandlerError::transient("no answer from the bank"));
        }
        println!("{}: charged {} cents, attempt {}", order.id, order.cents, cx.attempt());
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = MockBroker::new(); // in this process: nothing to install
    for order in [
        r#"{"id": "A1", "cents": 500}"#,
        r#"{"id": "A2", "cents": 1250}"#,
        r#"{"id": "A1", "cents": 500}"#, // a duplicate
        r#"{"id": "A3", "ce"#,           // broken off on its way
    ] {
        println!("published: {order}");
        broker.publish("orders", Message::new(order));
    }

    let consumer = Consumer::builder("billing.charge-card", ChargeCard)
        .source("orders")
        .group("billing")
        .dead_letter("orders.dead")
        .store(MemoryStore::new())
        .dedup_key(DedupKey::of(|order: &Order| order.id.clone()))
        .retry(Retry::default().max_attempts(5))
        .build(broker.clone())?;

    let shutdown = Shutdown::on_signal()?; // Ctrl-C; or else, here, when every order is settled
    let (orders, stop) = (broker.clone(), shutdown.clone());
    tokio::spawn(async move {
        orders.settled("orders").await;
        stop.trigger();
    });
    consumer.run(shutdown).await?;

    for letter in broker.messages("orders.dead") {
        let story = Story::read(&letter).ok_or("a dead letter without a story")?;
        let body = letter.payload.unwrap_or_default();
        println!("in orders.dead: {} ({})", String::from_utf8_lossy(&body), story.reason);
    }
    Ok(())
}
