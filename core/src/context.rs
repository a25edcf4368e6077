//! What a handler may know about the delivery behind its message.

use bytes::Bytes;

use crate::{Cancellation, Delivery, Headers, Origin};

/// The delivery behind a message, as far as it concerns a handler.
#[derive(Debug)]
pub struct Context<'a> {
    delivery: &'a mut Delivery,
}

impl<'a> Context<'a> {
    /// The context of this delivery: for calling a handler by hand, from another handler for
    /// instance. To test one, run it on the mock broker instead.
    ///
    /// ```
    /// use steadfast::{Context, Delivery, Handler, Message, Origin, Receipt, handler_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), steadfast::HandlerError> {
    /// let handler = handler_fn(|_: String| async { Ok(()) });
    /// let message = Message::new("by hand");
    /// let mut delivery = Delivery::new(message, Origin::new("nowhere"), Receipt::new(0, 0));
    /// handler.handle("decoded".into(), &mut Context::new(&mut delivery)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(delivery: &'a mut Delivery) -> Self {
        Self { delivery }
    }

    /// The number of this attempt, from 1. See [`Delivery::attempt`].
    pub fn attempt(&self) -> u32 {
        self.delivery.attempt()
    }

    /// The dedup key, the same in every attempt: pass it on as the idempotency key of outside
    /// calls. `None` without a store.
    pub fn dedup_key(&self) -> Option<&Bytes> {
        self.delivery.dedup_key()
    }

    /// The fence of this attempt: pass it to systems that can refuse an older one. `None` without
    /// a store.
    pub fn fence(&self) -> Option<u64> {
        self.delivery.fence()
    }

    /// The headers as they were published.
    pub fn headers(&self) -> &Headers {
        &self.delivery.message.headers
    }

    /// The message's key at the broker.
    pub fn key(&self) -> Option<&Bytes> {
        self.delivery.message.key.as_ref()
    }

    /// Where the message came from.
    pub fn origin(&self) -> &Origin {
        &self.delivery.origin
    }

    /// The token that is tripped when the attempt should stop: watch it in blocking work, and hand
    /// clones to what you spawn. The handler's future itself is dropped a grace period later, or at
    /// once when the lease is lost.
    pub fn cancellation(&self) -> &Cancellation {
        self.delivery.cancellation()
    }

    /// What a middleware or the store lent to this attempt under this type, a transaction for
    /// instance.
    pub fn lent<T: Send + 'static>(&mut self) -> Option<&mut T> {
        self.delivery.lent()
    }

    /// The span of this delivery, for work that is spawned.
    pub fn span(&self) -> tracing::Span {
        tracing::Span::current()
    }
}
