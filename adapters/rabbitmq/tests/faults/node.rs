//! The node that all of these tests share, one at a time.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError, Weak},
};

use steadfast_test_servers::RabbitMq as Server;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Waits for this test's turn. The node ends with the last test that waits for it.
pub(crate) async fn node() -> OwnedMutexGuard<Server> {
    static NODE: Mutex<Weak<Turn<Server>>> = Mutex::new(Weak::new());
    let shared = {
        let mut node = NODE.lock().unwrap_or_else(PoisonError::into_inner);
        node.upgrade().unwrap_or_else(|| {
            let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("rabbitmq-faults");
            let started = Server::start(folder).expect("a server of our own");
            let shared = std::sync::Arc::new(Turn::new(started));
            *node = std::sync::Arc::downgrade(&shared);
            shared
        })
    };
    shared.lock_owned().await
}
