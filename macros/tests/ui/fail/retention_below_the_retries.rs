use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = "id",
    retry(max_attempts = 10, backoff = fixed("10m")),
    retention = "1h",
)]
struct ChargeCard;

include!("../handler.rs");
