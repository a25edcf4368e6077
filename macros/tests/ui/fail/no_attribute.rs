use steadfast::Consumer;

#[derive(Consumer)]
struct ChargeCard;

include!("../handler.rs");
