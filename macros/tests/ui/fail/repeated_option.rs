use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    timeout = "10s",
    timeout = "20s",
)]
struct ChargeCard;

include!("../handler.rs");
