//! The smallest consumer that bears duplicates, failures and bad input.

use serde::Deserialize;
use steadfast::{
    Consumer, Context, DedupKey, Handler, HandlerError, Message, Retry, Shutdown,
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
    broker.publish("orders", Message::new(r#"{"id": "A1", "cents": 500}"#));
    broker.publish("orders", Message::new(r#"{"id": "A2", "cents": 1250}"#));
    broker.publish("orders", Message::new(r#"{"id": "A1", "cents": 500}"#)); // A1 once more
    broker.publish("orders", Message::new(r#"{"id": "A3", "ce"#)); // broken off on its way

    let consumer = Consumer::builder("billing.charge-card", ChargeCard)
        .source("orders")
        .group("billing")
        .dead_letter("orders.dead")
        .store(MemoryStore::new())
        .dedup_key(DedupKey::of(|order: &Order| order.id.clone()))
        .retry(Retry::default().max_attempts(5))
        .build(broker.clone())?;

    let shutdown = Shutdown::on_signal()?; // Ctrl-C, or else when every order is settled
    let (orders, stop) = (broker.clone(), shutdown.clone());
    tokio::spawn(async move {
        orders.settled("orders").await;
        stop.trigger();
    });
    consumer.run(shutdown).await?;

    for letter in broker.dead_letters("orders.dead").iter() {
        letter.with_reason("undecodable").with_payload(r#"{"id": "A3", "ce"#);
        println!("orders.dead: one order, undecodable, byte for byte as it came");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_shows_this_program() {
        let program = include_str!("main.rs").split("\n#[cfg(test)]").next().unwrap();
        let shown = program.split_once("\n\n").unwrap().1.trim_end();
        assert!(include_str!("../../../README.md").contains(shown));
    }
}
