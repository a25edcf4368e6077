use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    concurrency = 64,
    max_in_flight = 1_000,
    max_in_flight_bytes = "64MiB",
    waiting_share = 0.25,
)]
struct ChargeCard;

include!("../handler.rs");
