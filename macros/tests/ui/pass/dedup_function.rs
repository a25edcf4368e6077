use steadfast::Consumer;

mod keys {
    pub(crate) fn of_order(order: &super::Order) -> String {
        format!("{}/{}", order.customer.number, order.id)
    }
}

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = keys::of_order,
)]
struct ChargeCard;

include!("../handler.rs");
