use steadfast::Consumer;

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    limits(payload = "1MiB", key = 512, headers = 32, header_bytes = "8KiB"),
)]
struct ChargeCard;

include!("../handler.rs");
