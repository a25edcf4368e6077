use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = "secret",
)]
struct ChargeCard;

mod orders {
    #[derive(serde::Deserialize)]
    pub(crate) struct Order {
        secret: String,
    }

    impl Order {
        pub(crate) fn charge(&self) -> &str {
            &self.secret
        }
    }
}

impl steadfast::Handler for ChargeCard {
    type Message = orders::Order;

    async fn handle(
        &self,
        order: orders::Order,
        _: &mut steadfast::Context<'_>,
    ) -> Result<(), steadfast::HandlerError> {
        order.charge();
        Ok(())
    }
}

fn main() {}
