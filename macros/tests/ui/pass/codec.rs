use steadfast::Consumer;

struct Checked<M, const SUM: usize>(std::marker::PhantomData<fn() -> M>);

impl<M, const SUM: usize> Default for Checked<M, SUM> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<const SUM: usize> steadfast::Codec<Order> for Checked<Order, SUM> {
    fn decode(&self, message: &steadfast::Message) -> Result<Order, steadfast::broker::BoxError> {
        steadfast::Json.decode(message)
    }
}

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    codec = Checked<Order, 3>,
)]
struct ChargeCard;

include!("../handler.rs");
