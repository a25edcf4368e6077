//! Structs of every shape.

#![deny(warnings)]

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use steadfast::{Consumer, Context, Handler, HandlerError};

#[derive(serde::Deserialize)]
pub struct Order(u64);

pub trait Bank: Send + Sync + 'static {}

pub struct Sandbox;

impl Bank for Sandbox {}

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

#[derive(Consumer)]
#[consumer(name = "a", source = "s", group = "g", dead_letter = "d", dedup_key = "0")]
pub struct Fields<B: Bank> {
    pub bank: B,
}
handles!([B: Bank] Fields<B>, Order);

#[derive(Consumer)]
#[consumer(name = "a", source = "s", group = "g", dead_letter = "d", dedup_key = "0")]
pub struct Where<B = Sandbox>(pub B)
where
    B: Bank;
handles!([B: Bank] Where<B>, Order);

#[derive(Consumer)]
#[consumer(name = "a", source = "s", group = "g", dead_letter = "d", dedup_key = "0")]
pub struct Borrowing<'a, 'b: 'a, B: Bank + 'a>
where
    'b: 'a,
    B: AsRef<&'b str>,
{
    pub name: &'a str,
    pub bank: &'b B,
}
handles!([B: Bank + AsRef<&'static str>] Borrowing<'static, 'static, B>, Order);

#[derive(Consumer)]
#[consumer(name = "a", source = "s", group = "g", dead_letter = "d", concurrency = 2)]
pub struct AnyMessage<M: DeserializeOwned + Send + 'static, const N: usize>(
    pub PhantomData<fn() -> M>,
);
handles!([M: DeserializeOwned + Send + 'static, const N: usize] AnyMessage<M, N>, M);

#[derive(Consumer)]
#[consumer(name = "a", source = "s", group = "g", dead_letter = "d", codec = steadfast::Raw)]
pub struct Undecoded;
handles!([] Undecoded, steadfast::Message);

/// Only a lifetime, and a field looked up in the message all the same.
#[derive(Consumer)]
#[consumer(name = "a", source = "s", group = "g", dead_letter = "d", dedup_key = "0")]
pub struct Named<'a>(pub &'a str);
handles!([] Named<'static>, Order);

macro_rules! consumer {
    ($handler:ident, $name:literal, $timeout:literal, $codec:ty) => {
        #[derive(Consumer)]
        #[consumer(name = $name, source = "s", group = "g", dead_letter = "d")]
        #[consumer(timeout = $timeout, codec = $codec, dedup_key = "0")]
        pub struct $handler;
        handles!([] $handler, Order);
    };
}
consumer!(Made, "a", "1s", steadfast::Json);

fn main() {
    #[derive(Consumer)]
    #[consumer(name = "a", source = "s", group = "g", dead_letter = "d")]
    struct Local;
    handles!([] Local, Order);

    let _ = Consumer::of(Local);
    let _ = Consumer::of(Named("a"));
    let _ = Consumer::of(Made);
    let _ = Consumer::of(Fields { bank: Sandbox });
    let _ = Consumer::of(Where(Sandbox));
    let _ = Consumer::of(AnyMessage::<String, 3>(PhantomData));
    let _ = Consumer::of(Undecoded).timeout(std::time::Duration::from_secs(1));
}
