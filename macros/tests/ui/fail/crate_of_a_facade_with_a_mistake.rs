mod facade {
    pub use steadfast as consumers;
}

use facade::consumers::Consumer;

#[derive(Consumer)]
#[consumer(
    crate = facade::consumers,
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    concurrency = 0,
)]
struct ChargeCard;

impl facade::consumers::Handler for ChargeCard {
    type Message = u64;

    async fn handle(
        &self,
        _: u64,
        _: &mut facade::consumers::Context<'_>,
    ) -> Result<(), facade::consumers::HandlerError> {
        Ok(())
    }
}

fn main() {
    let _ = Consumer::of(ChargeCard);
}
