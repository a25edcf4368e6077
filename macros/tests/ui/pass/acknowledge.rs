use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    acknowledge("forgetful-store", "long-drain",),
    drain = "1m",
)]
struct ChargeCard;

include!("../handler.rs");
