//! A handler wrapped in its middleware.

use std::{future::Future, sync::Arc};

use crate::{Delivery, Outcome};

/// Runs a delivery to an outcome. A handler at the end of its middleware is one.
pub trait Process: Send + Sync {
    /// Runs the delivery.
    fn run(&self, delivery: &mut Delivery) -> impl Future<Output = Outcome> + Send;
}

/// One concern around a process. Write `async fn process`.
///
/// A layer that counts what comes back:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use steadfast::{Delivery, Middleware, Outcome, Process};
///
/// struct CountDone(AtomicU64);
///
/// impl Middleware for CountDone {
///     async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
///         let outcome = next.run(delivery).await;
///         if outcome == Outcome::Done {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///         outcome
///     }
/// }
/// ```
///
/// Give it to [`Builder::outer`](crate::Builder::outer) to see a delivery once, to
/// [`Builder::inner`](crate::Builder::inner) to see every attempt. A panic in it is a failure of
/// the message like any other (P11). An `Option` of a layer and an `Arc` of one are layers too. For an
/// async function instead of a type see [`from_fn`](crate::from_fn).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a middleware",
    note = "implement `steadfast::Middleware`, or wrap an async function in `steadfast::from_fn`"
)]
pub trait Middleware: Send + Sync + 'static {
    /// Does its work around `next.run(delivery)`.
    fn process(
        &self,
        delivery: &mut Delivery,
        next: &impl Process,
    ) -> impl Future<Output = Outcome> + Send;
}

/// A layer that is there or not, as a configuration says: `None` lets every delivery through.
impl<M: Middleware> Middleware for Option<M> {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        match self {
            Some(layer) => layer.process(delivery, next).await,
            None => next.run(delivery).await,
        }
    }
}

/// A layer that several consumers share, or that somebody looks at from outside.
impl<M: Middleware> Middleware for Arc<M> {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        (**self).process(delivery, next).await
    }
}

/// A middleware around a process.
pub(crate) struct Layered<M, P> {
    pub(crate) middleware: M,
    pub(crate) next: P,
}

impl<M: Middleware, P: Process> Process for Layered<M, P> {
    fn run(&self, delivery: &mut Delivery) -> impl Future<Output = Outcome> + Send {
        self.middleware.process(delivery, &self.next)
    }
}

/// The user's layers of one place, outermost first: a list of types, so that the whole stack is
/// static.
pub trait Stack: Send + Sync + 'static {
    /// The layers around a process.
    type Around<P: Process + 'static>: Process + 'static;

    /// Puts the layers around a process.
    fn around<P: Process + 'static>(self, process: P) -> Self::Around<P>;
}

/// No layers.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLayers;

impl Stack for NoLayers {
    type Around<P: Process + 'static> = P;

    fn around<P: Process + 'static>(self, process: P) -> P {
        process
    }
}

/// The layers of `S`, and `M` inside them.
#[derive(Debug, Clone)]
pub struct Then<S, M> {
    pub(crate) outside: S,
    pub(crate) inside: M,
}

impl<S: Stack, M: Middleware> Stack for Then<S, M> {
    type Around<P: Process + 'static> = S::Around<Inside<M, P>>;

    fn around<P: Process + 'static>(self, process: P) -> Self::Around<P> {
        self.outside.around(Inside(Layered { middleware: self.inside, next: process }))
    }
}

/// One layer of the user's around a process.
pub struct Inside<M, P>(Layered<M, P>);

impl<M: Middleware, P: Process> Process for Inside<M, P> {
    fn run(&self, delivery: &mut Delivery) -> impl Future<Output = Outcome> + Send {
        self.0.run(delivery)
    }
}
