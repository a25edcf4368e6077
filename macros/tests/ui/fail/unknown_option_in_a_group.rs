use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    retry(max_attempt = 3),
)]
struct ChargeCard;

include!("../handler.rs");
