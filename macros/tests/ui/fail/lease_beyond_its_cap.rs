use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = "id",
    lease = "10m",
    lease_cap = "5m",
)]
struct ChargeCard;

include!("../handler.rs");
