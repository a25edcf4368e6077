use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    limits(payload = 0),
)]
struct ChargeCard;

include!("../handler.rs");
