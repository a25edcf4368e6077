use steadfast::{Consumer, Context, Handler, HandlerError};

trait Bank: Send + Sync + 'static {}

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
)]
struct ChargeCard<B> {
    bank: B,
}

impl<B: Bank> Handler for ChargeCard<B> {
    type Message = String;

    async fn handle(&self, _: String, _: &mut Context<'_>) -> Result<(), HandlerError> {
        let _ = &self.bank;
        Ok(())
    }
}

fn main() {}
