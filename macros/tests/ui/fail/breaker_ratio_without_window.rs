use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    breaker(failure_ratio = 0.9),
)]
struct ChargeCard;

include!("../handler.rs");
