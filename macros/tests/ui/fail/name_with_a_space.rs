use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "charge card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
)]
struct ChargeCard;

include!("../handler.rs");
