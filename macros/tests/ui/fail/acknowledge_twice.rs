use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    acknowledge("long-drain", "long-drain"),
)]
struct ChargeCard;

include!("../handler.rs");
