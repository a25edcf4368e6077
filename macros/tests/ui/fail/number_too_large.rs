use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    generation = 4294967296,
)]
struct ChargeCard;

include!("../handler.rs");
