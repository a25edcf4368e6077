// The handler of every case, included by them: what is tried there is only the derive.

#[derive(serde::Deserialize)]
struct Order {
    id: String,
    customer: Customer,
    voucher: Option<String>,
}

#[derive(serde::Deserialize)]
struct Customer {
    number: u64,
}

impl steadfast::Handler for ChargeCard {
    type Message = Order;

    async fn handle(
        &self,
        order: Order,
        _: &mut steadfast::Context<'_>,
    ) -> Result<(), steadfast::HandlerError> {
        let _ = (order.id, order.customer.number, order.voucher);
        Ok(())
    }
}

fn main() {
    let _ = Consumer::of(ChargeCard);
}
