use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    retry(backoff = exponential("1s", "10s"), floor = "20s"),
)]
struct ChargeCard;

include!("../handler.rs");
