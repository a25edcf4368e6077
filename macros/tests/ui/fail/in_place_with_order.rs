use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    ordered_by = key,
    retry(in_place_up_to = "5s"),
)]
struct ChargeCard;

include!("../handler.rs");
