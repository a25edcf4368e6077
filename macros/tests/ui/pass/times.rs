use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    timeout = "10s",
    grace = "500ms",
    drain = "1m 30s",
    stalled_after = "5m",
)]
struct ChargeCard;

include!("../handler.rs");
