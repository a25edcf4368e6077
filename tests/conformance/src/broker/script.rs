//! The handler of a case, and what it is told.

use std::{future::Future, sync::Arc};

use futures::{FutureExt as _, future::BoxFuture};
use steadfast::{
    Cancellation, Codec, Context, Delivery, Handler, HandlerError, Message, Middleware, Origin,
    Outcome, Process, broker::BoxError,
};
use tokio::sync::watch;

use super::{
    ledger::{End, Ledger},
    session::text_of,
};

/// What a handler does. It is told of each [`Call`].
pub(crate) type Script =
    Arc<dyn Fn(Call) -> BoxFuture<'static, Result<(), HandlerError>> + Send + Sync>;

/// One call of a handler.
pub(crate) struct Call {
    pub(crate) text: String,
    /// Which run of this message it is in the whole case, from 1, whatever the consumer counts.
    pub(crate) run: usize,
    pub(crate) message: Message,
    pub(crate) origin: Origin,
    pub(crate) cancellation: Cancellation,
}

/// Makes a script of an async closure.
pub(crate) fn script<F, Fut>(act: F) -> Script
where
    F: Fn(Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    Arc::new(move |call| act(call).boxed())
}

/// Succeeds at once.
pub(crate) fn succeed() -> Script {
    script(|_| async { Ok(()) })
}

/// Never ends.
pub(crate) fn hang() -> Script {
    script(|_| std::future::pending())
}

/// The error of scripts that fail.
pub(crate) fn transient() -> HandlerError {
    HandlerError::transient("no route to host")
}

/// The handler that follows a script.
pub(crate) struct Player {
    pub(crate) member: &'static str,
    pub(crate) script: Script,
    pub(crate) ledger: Ledger,
}

impl Handler for Player {
    type Message = Letter;

    async fn handle(&self, letter: Letter, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let Letter { text, message } = letter;
        let run = Running {
            number: self.ledger.begin(self.member, &text, message.key.clone(), cx.attempt()),
            ledger: &self.ledger,
        };
        let call = Call {
            run: self.ledger.runs_of(&text).len(),
            text,
            message,
            origin: cx.origin().clone(),
            cancellation: cx.cancellation().clone(),
        };
        let result = (self.script)(call).await;
        let end = if result.is_ok() { End::Succeeded } else { End::Failed };
        self.ledger.end(run.number, end);
        result
    }
}

/// Enters the end of a run that does not come to it.
struct Running<'a> {
    number: usize,
    ledger: &'a Ledger,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.ledger.end(self.number, End::Dropped);
    }
}

/// What handlers get: the message, which must have a payload in UTF-8.
pub(crate) struct Letter {
    pub(crate) text: String,
    message: Message,
}

/// Decodes letters.
pub(crate) struct Letters;

impl Codec<Letter> for Letters {
    fn decode(&self, message: &Message) -> Result<Letter, BoxError> {
        let payload = message.payload.as_deref().ok_or("a tombstone is no letter")?;
        let text = std::str::from_utf8(payload)?.to_owned();
        Ok(Letter { text, message: message.clone() })
    }
}

/// The layer that sees what becomes of each delivery.
pub(crate) struct Witness(pub(crate) Ledger);

impl Middleware for Witness {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let outcome = next.run(delivery).await;
        self.0.settled_as(text_of(&delivery.message), outcome.clone());
        outcome
    }
}

/// A gate that handlers wait at until it is opened. Clones are one gate.
#[derive(Clone)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open. Cancel safe.
    pub(crate) async fn passed(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// A script that waits at the gate and then succeeds.
pub(crate) fn wait_at(gate: &Gate) -> Script {
    let gate = gate.clone();
    script(move |_| {
        let gate = gate.clone();
        async move {
            gate.passed().await;
            Ok(())
        }
    })
}
