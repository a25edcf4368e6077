//! What the suite needs to know of a store.

use std::{future::Future, sync::Arc, time::Duration};

use steadfast::store::{Lent, Store};

/// How the suite gets a store, lets time pass, and sees effects.
///
/// Implementations write `async fn`. [`MemoryHarness`](super::MemoryHarness) is an example.
pub trait StoreHarness: Send + Sync {
    /// A store that no other case uses: a schema, a table or a database of its own. Cases reap, and
    /// reaping is of the whole store.
    fn store(&self) -> impl Future<Output = Arc<dyn Store>> + Send;

    /// Lets this much time pass on the store's clock: a paused clock is advanced, a real one waited
    /// for.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// The lease that claims ask for. All other times of the suite are derived from it.
    ///
    /// A quarter of it must be long beside the calls of a case, and beside some hundred calls in a
    /// [history](super::history), or leases end before they are meant to. Where time really passes
    /// it should be as short as that allows: two seconds suit a database on the same machine.
    fn lease(&self) -> Duration {
        Duration::from_secs(8)
    }

    /// Makes one effect of this name in a lent transaction: inserts a row, say. Called only if the
    /// store [lends transactions](Store::lends_transactions).
    fn effect(&self, lent: &mut dyn Lent, name: &str) -> impl Future<Output = ()> + Send {
        let _ = (lent, name);
        async { panic!("the store lends transactions, but its harness makes no effects in them") }
    }

    /// How many effects of this name have been committed, as seen from outside of all transactions.
    fn effects(&self, name: &str) -> impl Future<Output = usize> + Send {
        let _ = name;
        async { panic!("the store lends transactions, but its harness counts no effects") }
    }
}
