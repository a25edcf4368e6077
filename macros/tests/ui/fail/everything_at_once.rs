use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    timeout = "10",
    retry(max_attempts = 0, backoff = exponential("30s", "200ms")),
    concurency = 5,
    transactional,
)]
struct ChargeCard;

include!("../handler.rs");
