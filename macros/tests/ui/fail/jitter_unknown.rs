use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    retry(jitter = none),
)]
struct ChargeCard;

include!("../handler.rs");
