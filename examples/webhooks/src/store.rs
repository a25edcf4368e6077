//! The store of a run, and the ledger that its transactions write to.

use std::{sync::Arc, time::Duration};

use steadfast::store::{MemoryStore, Store};
use steadfast_mock::FaultyStore;

use crate::{cli::Options, ledger::Ledger, schema::Schema, scheme};

/// What differs from store to store.
pub(crate) struct ChosenStore {
    /// With faults around it, whichever it is.
    pub(crate) store: FaultyStore<Arc<dyn Store>>,
    pub(crate) ledger: Ledger,
    /// How long a record is remembered.
    pub(crate) retention: Duration,
}

/// Much longer than a copy stays in the broker, even if the process is stopped for a while, and short
/// enough to bound the memory of a very long run.
const IN_MEMORY: Duration = Duration::from_secs(5 * 60);
/// How long a run that was broken off can be gone on with: its copies are all published again.
const ON_DISK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const SCHEMES: [&str; 2] = ["postgres", "postgresql"];

/// Connects, and makes what the run needs.
///
/// # Errors
/// In words that name the option and no credential.
pub(crate) async fn open(options: &Options, run: &str) -> Result<ChosenStore, String> {
    match scheme::of("--store", &options.store, "memory", &SCHEMES)? {
        "postgres" | "postgresql" => {
            let (store, schema) = Schema::open(options, run).await?;
            let store: Arc<dyn Store> = Arc::new(store);
            let ledger = Ledger::Postgres(schema);
            Ok(ChosenStore { store: FaultyStore::new(store), ledger, retention: ON_DISK })
        }
        _ if options.run.is_some() => {
            Err("--run: with --store memory nothing is left to go on with: add --store \
                 postgres://…, or leave --run away"
                .to_owned())
        }
        _ => {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
            let ledger = Ledger::Memory(Arc::default());
            Ok(ChosenStore { store: FaultyStore::new(store), ledger, retention: IN_MEMORY })
        }
    }
}
