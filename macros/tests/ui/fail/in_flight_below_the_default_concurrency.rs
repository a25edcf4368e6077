use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    max_in_flight = 8,
)]
struct ChargeCard;

include!("../handler.rs");
