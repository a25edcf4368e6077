//! Handlers that declare their own policy.

use super::{builder::Builder, run::Consumer};
use crate::{Codec, Handler};

/// A handler that declares the policy of its consumer. Write `#[derive(Consumer)]`; what the derive
/// says, the [`Builder`] can still change.
///
/// Written by hand, it is what the derive writes:
///
/// ```
/// use steadfast::{Builder, Consumer, Context, Declared, Handler, HandlerError, Json};
///
/// struct Greet;
///
/// impl Handler for Greet {
///     type Message = String;
///
///     async fn handle(&self, name: String, _: &mut Context<'_>) -> Result<(), HandlerError> {
///         println!("hello {name}");
///         Ok(())
///     }
/// }
///
/// impl Declared for Greet {
///     type Codec = Json;
///
///     fn consumer(self) -> Builder<Self, Self::Codec> {
///         Consumer::builder("greeter", self)
///             .source("names")
///             .group("greeters")
///             .dead_letter("names.dead")
///     }
/// }
///
/// let consumer = Consumer::of(Greet).concurrency(4);
/// # let _ = consumer;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` declares no policy",
    note = "add `#[derive(Consumer)]` and `#[consumer(…)]` to it, or say the policy through \
            `Consumer::builder`"
)]
pub trait Declared: Handler + Sized {
    /// What decodes the payloads.
    type Codec: Codec<Self::Message>;

    /// Begins the consumer, with everything that is declared.
    fn consumer(self) -> Builder<Self, Self::Codec>;
}

impl Consumer {
    /// Begins a consumer by what its handler declares: `name`, `source` and all that
    /// `#[consumer(…)]` says. What belongs to the running program, such as the store, is added to
    /// the builder; a setting said there wins over the declared one.
    pub fn of<H: Declared>(handler: H) -> Builder<H, H::Codec> {
        handler.consumer()
    }
}
