use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    waiting_share = 1.5,
)]
struct ChargeCard;

include!("../handler.rs");
