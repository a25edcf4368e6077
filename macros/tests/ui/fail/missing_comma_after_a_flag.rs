use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dedup_key = message_id,
    transactional
    dead_letter = "orders.dead",
)]
struct ChargeCard;

include!("../handler.rs");
