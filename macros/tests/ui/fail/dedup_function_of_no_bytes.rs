use steadfast::Consumer;

fn key_of(order: &Order) -> u64 {
    order.customer.number
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
