//! Messages of every shape.

#![deny(warnings)]

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, de::DeserializeOwned};
use steadfast::{Consumer, Context, Handler, HandlerError, Message};

/// A handler of a message, its key by a field.
macro_rules! consumer {
    ($handler:ident, $message:ty, $field:literal) => {
        #[derive(Consumer)]
        #[consumer(name = "a", source = "s", group = "g", dead_letter = "d", dedup_key = $field)]
        struct $handler;
        handles!([] $handler, $message);
    };
}

macro_rules! handles {
    ([$($generics:tt)*] $handler:ty, $message:ty) => {
        impl<$($generics)*> Handler for $handler {
            type Message = $message;

            async fn handle(&self, _: $message, _: &mut Context<'_>) -> Result<(), HandlerError> {
                Ok(())
            }
        }
    };
}

#[derive(Deserialize)]
struct OrderId(u128);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "order-{}", self.0)
    }
}

#[derive(Deserialize)]
struct Order {
    id: OrderId,
    r#type: Cow<'static, str>,
    lines: [Box<Line>; 1],
    first: Box<Line>,
}

#[derive(Deserialize)]
struct Line {
    tags: (char, i8),
}

consumer!(Newtype, Order, "id");
consumer!(InANewtype, Order, "id.0");
consumer!(Keyword, Order, "type");
consumer!(Raw, Order, "r#type");
consumer!(Deep, Order, "first.tags.1");
consumer!(Boxed, Box<Order>, "id");
consumer!(Tuple, (u8, String), "1");

#[derive(Deserialize)]
struct Envelope<T> {
    id: String,
    body: T,
}

trait Sink<T>: Send + Sync + 'static {
    fn take(&self, body: T);
}

#[derive(Consumer)]
#[consumer(
    name = "a", source = "s", group = "g", dead_letter = "d",
    dedup_key = "id", filter = Self::wants, transactional,
)]
struct Forward<T, S: ?Sized>
where
    T: DeserializeOwned + Send + 'static,
    S: Sink<T>,
{
    sink: Arc<S>,
    kind: std::marker::PhantomData<fn(T)>,
}

impl<T: DeserializeOwned + Send + 'static, S: Sink<T> + ?Sized> Forward<T, S> {
    fn wants(message: &Message) -> bool {
        message.payload.is_some()
    }
}

impl<T: DeserializeOwned + Send + 'static, S: Sink<T> + ?Sized> Handler for Forward<T, S> {
    type Message = Envelope<T>;

    async fn handle(&self, it: Envelope<T>, _: &mut Context<'_>) -> Result<(), HandlerError> {
        self.sink.take(it.body);
        Ok(())
    }
}

struct Nowhere;

impl Sink<u8> for Nowhere {
    fn take(&self, _: u8) {}
}

#[derive(Deserialize)]
enum Event {
    Placed(String),
    Paid { id: String },
}

#[derive(Consumer)]
#[consumer(name = "a", source = "s", group = "g", dead_letter = "d", dedup_key = Event::key)]
struct Events;
handles!([] Events, Event);

impl Event {
    fn key(&self) -> String {
        match self {
            Self::Placed(id) | Self::Paid { id } => id.clone(),
        }
    }
}

fn main() {
    let sink: Arc<dyn Sink<u8>> = Arc::new(Nowhere);
    let _ = Consumer::of(Forward { sink, kind: std::marker::PhantomData });
    let _ = (Consumer::of(Newtype), Consumer::of(InANewtype), Consumer::of(Keyword));
    let _ = (Consumer::of(Raw), Consumer::of(Deep), Consumer::of(Boxed), Consumer::of(Tuple));
    let _ = Consumer::of(Events);
    let _ = |order: Order| order.lines;
}
