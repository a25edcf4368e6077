//! The workers: as many as there is work for, each running deliveries one after another.

use std::{future::Future, pin::Pin, sync::Arc};

use tokio::task::JoinSet;

use super::{RunError, desk::Desk};
use crate::{Outcome, Process, delivery::Decoded, failure::drop_safely};

/// A worker's loop over a static stack: erased once, not for each delivery.
pub(crate) trait Work: Send + Sync {
    /// Runs until the lanes are closed.
    fn work(self: Arc<Self>, desk: Arc<Desk>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

impl<P: Process + 'static> Work for P {
    fn work(self: Arc<Self>, desk: Arc<Desk>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let mut decoded = Decoded::default();
            while let Some(turn) = desk.lanes.turn().await
                && let Some(mut flight) = desk.lanes.next(turn)
            {
                flight.delivery.decoded = decoded;
                let outcome = match flight.delivery.cancellation().reason() {
                    // Its session is lost: the broker gives it to somebody else.
                    Some(reason) => Outcome::release(reason.into()),
                    None => self.run(&mut flight.delivery).await,
                };
                flight.delivery.slot = None;
                // The destructor of a message, or of something lent, is the user's code too.
                drop_safely(flight.delivery.take_loans());
                decoded = std::mem::take(&mut flight.delivery.decoded).into_empty();
                desk.leave(flight, &outcome);
            }
        })
    }
}

/// Runs workers, more of them while deliveries wait in place without a slot. Ends only when one has
/// died.
pub(crate) async fn run(work: Arc<dyn Work>, desk: Arc<Desk>, most: usize) -> RunError {
    let mut workers = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = desk.lanes.wanted() => {
                let more = desk.lanes.short_of_workers().min(most - workers.len());
                for _ in 0..more {
                    workers.spawn(Arc::clone(&work).work(Arc::clone(&desk)));
                }
            }
            Some(Err(error)) = workers.join_next() => {
                return RunError::Internal(format!("a worker died: {error}"));
            }
        }
    }
}
