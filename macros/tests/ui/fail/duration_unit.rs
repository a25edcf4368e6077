use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    timeout = "10sec",
    grace = "2S",
    drain = "1y",
)]
struct ChargeCard;

include!("../handler.rs");
