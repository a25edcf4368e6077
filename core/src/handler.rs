//! What you write: what to do with one decoded message.

use std::{fmt, future::Future, marker::PhantomData};

use crate::{Context, HandlerError};

/// Handles one decoded message. Write `async fn handle`.
///
/// ```
/// use steadfast::{Context, Handler, HandlerError};
///
/// #[derive(serde::Deserialize)]
/// struct Order {
///     id: String,
/// }
///
/// struct Ship;
///
/// impl Handler for Ship {
///     type Message = Order;
///
///     async fn handle(&self, order: Order, cx: &mut Context<'_>) -> Result<(), HandlerError> {
///         println!("shipping {} (attempt {})", order.id, cx.attempt());
///         Ok(())
///     }
/// }
/// ```
///
/// The future may be dropped at any `.await`, on a timeout or when the process stops; the message
/// is then tried again. Effects outside the lent transaction should therefore carry
/// [`Context::dedup_key`] to a system that honours it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message handler",
    note = "implement `steadfast::Handler`, or wrap an async closure in `steadfast::handler_fn`"
)]
pub trait Handler: Send + Sync + 'static {
    /// What the codec makes of a payload.
    type Message: Send + 'static;

    /// Handles the message. An error is transient unless it says otherwise.
    fn handle(
        &self,
        message: Self::Message,
        cx: &mut Context<'_>,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// Makes a handler of an async closure, for cases that need no context.
///
/// ```
/// let handler = steadfast::handler_fn(|order: String| async move {
///     println!("{order}");
///     Ok(())
/// });
/// ```
pub fn handler_fn<F, M, Fut>(f: F) -> HandlerFn<F, M>
where
    F: Fn(M) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
    M: Send + 'static,
{
    HandlerFn { f, message: PhantomData }
}

/// A handler made by [`handler_fn`].
pub struct HandlerFn<F, M> {
    f: F,
    message: PhantomData<fn(M)>,
}

impl<F, M, Fut> Handler for HandlerFn<F, M>
where
    F: Fn(M) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
    M: Send + 'static,
{
    type Message = M;

    async fn handle(&self, message: M, _: &mut Context<'_>) -> Result<(), HandlerError> {
        (self.f)(message).await
    }
}

impl<F, M> fmt::Debug for HandlerFn<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerFn")
    }
}
