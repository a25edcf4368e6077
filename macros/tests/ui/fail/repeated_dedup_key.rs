use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = "id",
    dedup_key = message_id,
)]
struct ChargeCard;

include!("../handler.rs");
