use steadfast::Consumer;

fn is_placed(message: &steadfast::Message) -> bool {
    message.headers.first("kind").is_some_and(|kind| kind == "placed")
}

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    filter = is_placed,
)]
struct ChargeCard;

include!("../handler.rs");
