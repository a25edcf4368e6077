use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    retry(timeout = "10s"),
)]
struct ChargeCard;

include!("../handler.rs");
