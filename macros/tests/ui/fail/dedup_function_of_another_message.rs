use steadfast::Consumer;

fn key_of(order: &u64) -> String {
    order.to_string()
}

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = key_of,
)]
struct ChargeCard;

include!("../handler.rs");
