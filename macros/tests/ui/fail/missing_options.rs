use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(name = "billing.charge-card", group = "billing")]
struct ChargeCard;

include!("../handler.rs");
