use steadfast::Consumer;

mod topics {
    pub const ORDERS: &str = "orders";
    pub static GROUP: &str = "billing";
}

trait Topic {
    const DEAD: &'static str;
}

impl Topic for ChargeCard {
    const DEAD: &'static str = concat!("orders", ".dead");
}

#[derive(Consumer)]
#[consumer(
    name = Self::NAME,
    source = topics::ORDERS,
    group = topics::GROUP,
    dead_letter = <Self as Topic>::DEAD,
)]
struct ChargeCard;

impl ChargeCard {
    const NAME: &str = "billing.charge-card";
}

include!("../handler.rs");
