//! The smallest consumer that bears duplicates, failures and broken messages.

use steadfast::{Consumer, Context, Handler, HandlerError, Message, store::MemoryStore};
use steadfast_mock::MockBroker;

#[derive(serde::Deserialize)]
struct Order {
    id: String,
    cents: u64,
}

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = "id",
    retry(max_attempts = 5, backoff = exponential("200ms", "30s"))
)]
struct ChargeCard;

impl Handler for ChargeCard {
    type Message = Order;

    async fn handle(&self, order: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        if order.id == "A2" && cx.attempt() == 1 {
            return Err(HandlerError::transient("no answer from the bank"));
        }
        println!("{}: charged {} cents, attempt {}", order.id, order.cents, cx.attempt());
        Ok(())
    }
}

fn consumer(broker: &MockBroker) -> Result<Consumer, steadfast::Findings> {
    Consumer::of(ChargeCard).store(MemoryStore::new()).build(broker.clone())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = MockBroker::new(); // in this process: nothing to install
    broker.publish("orders", Message::new(r#"{"id": "A1", "cents": 500}"#));
    broker.publish("orders", Message::new(r#"{"id": "A2", "cents": 1250}"#));
    broker.publish("orders", Message::new(r#"{"id": "A1", "cents": 500}"#)); // a duplicate
    broker.publish("orders", Message::new(r#"{"id": "A3", "ce"#)); // broken off on its way

    let running = broker.start(consumer(&broker)?);
    broker.settled("orders").await;
    running.stop().await?;
    println!("in the dead letters: {}", broker.dead_letters("orders.dead").len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_order_without_an_answer_is_tried_again() {
        let broker = MockBroker::new();
        broker.publish("orders", Message::new(r#"{"id": "A2", "cents": 1250}"#));
        let _running = broker.start(consumer(&broker).unwrap());
        broker.settled("orders").await;
        broker.dead_letters("orders.dead").expect_none();
    }

    #[tokio::test(start_paused = true)]
    async fn half_an_order_lies_in_the_dead_letters_as_it_came() {
        let broker = MockBroker::new();
        broker.publish("orders", Message::new(r#"{"id": "A3", "ce"#));
        let _running = broker.start(consumer(&broker).unwrap());
        broker.settled("orders").await;
        let letters = broker.dead_letters("orders.dead");
        letters.expect_one().with_reason("undecodable").with_payload(r#"{"id": "A3", "ce"#);
    }

    #[test]
    fn the_readme_shows_this_program_and_its_test() {
        let readme = include_str!("../../../README.md");
        let (program, tests) = include_str!("main.rs").split_once("\n#[cfg(test)]").unwrap();
        assert!(readme.contains(program.split_once("\n\n").unwrap().1.trim_end()));
        let test = tests.split("\n\n").find(|part| part.contains("half_an_order")).unwrap();
        let shown: Vec<_> = test.lines().map(|line| line.trim_start_matches("    ")).collect();
        assert!(readme.replace("    ", "").contains(&shown.join("\n").replace("    ", "")));
    }
}
