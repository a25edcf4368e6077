//! Decodes the payload, after the filter and the limits have had their say.

use std::{marker::PhantomData, panic::AssertUnwindSafe, sync::Arc};

use super::{Decider, invoke::decode};
use crate::{
    Codec, Delivery, Failure, FailureKind, Message, Middleware, Outcome, Process, consumer::Limits,
};

/// Makes the handler's message of the bytes, and leaves it in the delivery.
pub(crate) struct Decode<C, M> {
    pub(crate) codec: Arc<C>,
    pub(crate) filter: Option<Filter>,
    pub(crate) limits: Limits,
    pub(crate) decider: Decider,
    pub(crate) message: PhantomData<fn() -> M>,
}

pub(crate) type Filter = Arc<dyn Fn(&Message) -> bool + Send + Sync>;

impl<C: Codec<M>, M: Send + 'static> Middleware for Decode<C, M> {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        delivery.recorded = false;
        let examined = std::panic::catch_unwind(AssertUnwindSafe(|| self.examine(delivery)));
        match examined {
            Ok(Ok(Some(message))) => delivery.decoded.put(message),
            Ok(Ok(None)) => return Outcome::Ignored,
            Ok(Err(failure)) => return self.decider.decide(delivery, Box::new(failure)),
            Err(payload) => {
                delivery.attempt += 1;
                let failure = Failure::panicked("the codec or the filter", payload);
                return self.decider.decide(delivery, Box::new(failure));
            }
        }
        next.run(delivery).await
    }
}

impl<C: Codec<M>, M: Send + 'static> Decode<C, M> {
    /// The decoded message, unless it is not wanted.
    fn examine(&self, delivery: &Delivery) -> Result<Option<M>, Failure> {
        if self.filter.as_ref().is_some_and(|wants| !wants(&delivery.message)) {
            return Ok(None);
        }
        let fits = self.limits.check(&delivery.message);
        fits.map_err(|words| Failure::new(FailureKind::Oversize, words))?;
        decode(&*self.codec, delivery).map(Some)
    }
}
