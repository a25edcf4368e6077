//! The crate is had from another one, and the user's own paths have its name in them too.

#![deny(warnings)]

mod facade {
    pub use steadfast;
}

mod on {
    pub mod steadfast {
        use crate::facade::steadfast::{Message, OrderedBy};

        pub trait Shard: Send + Sync + 'static {}
        impl Shard for OrderedBy {}

        pub fn is_whole(message: &Message) -> bool {
            message.payload.is_some()
        }

        pub fn key(message: &Message) -> Vec<u8> {
            message.payload.as_deref().unwrap_or_default().to_vec()
        }
    }
}

use facade::steadfast::{Consumer, Context, Handler, HandlerError, Message, OrderedBy};

const SOURCE: &str = "orders";

#[derive(Consumer)]
#[consumer(
    crate = facade::steadfast,
    name = "billing.charge-card",
    source = SOURCE,
    group = "billing",
    dead_letter = "orders.dead",
    dedup_key = on::steadfast::key,
    filter = on::steadfast::is_whole,
    codec = facade::steadfast::Raw,
    retry(max_attempts = 3, backoff = fixed("1s")),
    breaker(probes = fixed("1s")),
    ordered_by = key,
    limits(payload = "1MiB"),
)]
struct ChargeCard<S>(S)
where
    S: crate::on::steadfast::Shard;

impl<S: on::steadfast::Shard> Handler for ChargeCard<S> {
    type Message = Message;

    async fn handle(&self, _: Message, _: &mut Context<'_>) -> Result<(), HandlerError> {
        let _ = &self.0;
        Ok(())
    }
}

#[derive(Consumer)]
#[consumer(crate = crate::facade::steadfast, name = "a", source = "s", group = "g")]
#[consumer(dead_letter = "d", dedup_key = "0", codec = facade::steadfast::Json)]
struct OfField;

impl Handler for OfField {
    type Message = (u64,);

    async fn handle(&self, _: (u64,), _: &mut Context<'_>) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn main() {
    let _ = Consumer::of(ChargeCard(OrderedBy::Key));
    let _ = Consumer::of(OfField);
}
