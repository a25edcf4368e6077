use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    lease = "30s",
    lease_cap = "1h",
    retention = "7d",
    generation = 1,
)]
struct ChargeCard;

include!("../handler.rs");
