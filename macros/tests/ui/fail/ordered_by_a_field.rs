use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    ordered_by = "id",
)]
struct ChargeCard;

include!("../handler.rs");
