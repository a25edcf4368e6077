use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    retry(backoff = fixed("1s"), jitter = full),
)]
struct ChargeCard;

include!("../handler.rs");
