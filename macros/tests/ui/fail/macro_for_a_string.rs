use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = concat!("billing", ".charge-card"),
    source = env!("ORDERS"),
    group = "billing",
    dead_letter = "orders.dead",
)]
struct ChargeCard;

include!("../handler.rs");
