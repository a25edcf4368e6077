use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    retry(max_attempts = 3, max_attempts = 4),
)]
struct ChargeCard;

include!("../handler.rs");
