use steadfast::Consumer;

struct Protobuf(u8);

impl steadfast::Codec<Order> for Protobuf {
    fn decode(&self, _: &steadfast::Message) -> Result<Order, steadfast::broker::BoxError> {
        Err(self.0.to_string().into())
    }
}

#[derive(Consumer)]
#[consumer(
    name = "billing.charge-card",
    source = "orders",
    group = "billing",
    dead_letter = "orders.dead",
    codec = Protobuf,
)]
struct ChargeCard;

include!("../handler.rs");
