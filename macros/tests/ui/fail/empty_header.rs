use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = header(""),
    ordered_by = header(""),
)]
struct ChargeCard;

include!("../handler.rs");
