use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = Self::key_of,
)]
struct ChargeCard;

impl ChargeCard {
    fn key_of(order: &Order) -> Vec<u8> {
        order.id.clone().into_bytes()
    }
}

include!("../handler.rs");
