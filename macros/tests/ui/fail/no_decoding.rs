use steadfast::{Consumer, Context, Handler, HandlerError};

struct Order;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
)]
struct ChargeCard;

impl Handler for ChargeCard {
    type Message = Order;

    async fn handle(&self, _: Order, _: &mut Context<'_>) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn main() {}
