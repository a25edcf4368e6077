use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    retry(
        max_attempts = 7,
        backoff = exponential("200ms", "30s"),
        jitter = full,
        floor = "100ms",
        max_age = "1d",
        in_place_up_to = "2s",
    ),
)]
struct ChargeCard;

include!("../handler.rs");
