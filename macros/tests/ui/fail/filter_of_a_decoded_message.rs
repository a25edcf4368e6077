use steadfast::Consumer;

fn is_large(order: &Order) -> bool {
    order.customer.number > 1
}

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    filter = is_large,
)]
struct ChargeCard;

include!("../handler.rs");
