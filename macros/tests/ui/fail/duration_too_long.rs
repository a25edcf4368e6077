use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    drain = "999999999999999d",
)]
struct ChargeCard;

include!("../handler.rs");
