use steadfast::Consumer;

#[derive(Consumer)]
#[consumer]
struct ChargeCard;

include!("../handler.rs");
