use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
)]
struct ChargeCard {
    #[consumer(timeout = "10s")]
    bank: (),
}

include!("../handler.rs");
