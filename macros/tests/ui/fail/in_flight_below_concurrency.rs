use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    concurrency = 64,
    max_in_flight = 32,
)]
struct ChargeCard;

include!("../handler.rs");
