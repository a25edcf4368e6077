//! Middleware from an async function.

use std::{fmt, future::Future, pin::Pin};

use crate::{Delivery, Middleware, Outcome, Process};

/// Makes a middleware of a named async function.
///
/// | use | when |
/// |---|---|
/// | a type that implements [`Middleware`] | it has state, or must cost nothing |
/// | `from_fn` | a function says it all; it costs one allocation for each delivery |
///
/// ```
/// use steadfast::{Delivery, Next, Outcome};
///
/// async fn announce(delivery: &mut Delivery, next: Next<'_>) -> Outcome {
///     println!("from {}", delivery.origin.source);
///     next.run(delivery).await
/// }
///
/// let layer = steadfast::from_fn(announce);
/// # let _ = layer;
/// ```
pub fn from_fn<F>(f: F) -> FromFn<F>
where
    F: for<'a> LayerFn<'a>,
{
    FromFn(f)
}

/// A middleware made by [`from_fn`].
#[derive(Clone, Copy)]
pub struct FromFn<F>(F);

/// The rest of the process, as a function sees it.
pub struct Next<'a>(&'a dyn Erased);

impl Next<'_> {
    /// Runs the delivery through the rest of the process.
    pub async fn run(&self, delivery: &mut Delivery) -> Outcome {
        self.0.run_boxed(delivery).await
    }
}

/// An async function that [`from_fn`] takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a middleware function",
    note = "it must be `async fn(delivery: &mut Delivery, next: Next<'_>) -> Outcome`, and `Send`"
)]
pub trait LayerFn<'a>: Send + Sync + 'static {
    /// What the function returns.
    type Future: Future<Output = Outcome> + Send + 'a;

    /// Calls the function.
    fn call(&self, delivery: &'a mut Delivery, next: Next<'a>) -> Self::Future;
}

impl<'a, F, Fut> LayerFn<'a> for F
where
    F: Fn(&'a mut Delivery, Next<'a>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, delivery: &'a mut Delivery, next: Next<'a>) -> Fut {
        self(delivery, next)
    }
}

impl<F> Middleware for FromFn<F>
where
    F: for<'a> LayerFn<'a>,
{
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        self.0.call(delivery, Next(next)).await
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromFn")
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Next")
    }
}

trait Erased: Send + Sync {
    fn run_boxed<'a>(
        &'a self,
        delivery: &'a mut Delivery,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
}

impl<P: Process> Erased for P {
    fn run_boxed<'a>(
        &'a self,
        delivery: &'a mut Delivery,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(self.run(delivery))
    }
}
