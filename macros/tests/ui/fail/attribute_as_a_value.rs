use steadfast::Consumer;

#[derive(Consumer)]
#[consumer = "billing.charge-card"]
struct ChargeCard;

include!("../handler.rs");
