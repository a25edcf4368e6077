use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    retry(max_attempts = 3)
    dead_letter = "orders.dead",
)]
struct ChargeCard;

include!("../handler.rs");
