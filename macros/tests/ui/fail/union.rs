use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
)]
union ChargeCard {
    live: u8,
    sandbox: i8,
}

include!("../handler.rs");
