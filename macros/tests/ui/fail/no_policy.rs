use steadfast::Consumer;

struct ChargeCard;

include!("../handler.rs");
