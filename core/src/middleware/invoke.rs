//! The end of the process: the handler itself.

use std::{any::Any, sync::Arc};

use crate::{Codec, Context, Delivery, Failure, FailureKind, Handler, Outcome, Process};

/// Gives the decoded message to the handler.
pub(crate) struct Invoke<H, C> {
    pub(crate) handler: H,
    pub(crate) codec: Arc<C>,
}

impl<H: Handler, C: Codec<H::Message>> Process for Invoke<H, C> {
    async fn run(&self, delivery: &mut Delivery) -> Outcome {
        let message = match delivery.decoded.take() {
            Some(message) => message,
            // A layer inside ran the rest twice: the first run has used the message up.
            None => match decode::<H::Message, C>(&self.codec, delivery) {
                Ok(message) => message,
                Err(failure) => return Outcome::failed(failure),
            },
        };
        match self.handler.handle(message, &mut Context::new(delivery)).await {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::failed(Failure::from(error)),
        }
    }
}

pub(super) fn decode<M: Any, C: Codec<M>>(codec: &C, delivery: &Delivery) -> Result<M, Failure> {
    codec
        .decode(&delivery.message)
        .map_err(|error| Failure::from_error(FailureKind::Undecodable, error.as_ref()))
}
