use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = "id",
    lease = "45s",
    lease_cap = "2h",
    retention = "30d",
    generation = 2,
    transactional,
)]
struct ChargeCard;

include!("../handler.rs");
