use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    timeout = "10s"
    retry(max_attempts = 3),
)]
struct ChargeCard;

include!("../handler.rs");
