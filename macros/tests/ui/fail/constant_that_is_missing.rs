use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = topics::ORDERS,
    group = "billing",
    dead_letter = "orders.dead",
)]
struct ChargeCard;

include!("../handler.rs");
