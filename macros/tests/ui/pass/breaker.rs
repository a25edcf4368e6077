use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    breaker(
        failure_ratio = 1,
        window = 50,
        believed_for = "3h",
        probes = exponential("1s", "1m"),
        floor = "500ms"
    ),
)]
struct ChargeCard;

include!("../handler.rs");
