use steadfast::Consumer;

const SHARD: u32 = 7;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = SHARD,
    group = "billing",
    dead_letter = "orders.dead",
)]
struct ChargeCard;

include!("../handler.rs");
