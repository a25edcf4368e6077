//! The node that all of these tests share, one at a time, and what is done to it.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError, Weak},
    time::Duration,
};

use lapin::{Channel, Connection, ConnectionProperties, options::QueueDeleteOptions};
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

/// A memory alarm. It ends with this, also when a test fails.
pub(crate) struct Alarm<'a>(&'a Server);

impl<'a> Alarm<'a> {
    pub(crate) fn raise(server: &'a Server) -> Self {
        let alarm = Self(server);
        server.set_memory_alarm(true).expect("the alarm can be raised");
        alarm
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        let cleared = self.0.set_memory_alarm(false);
        if !std::thread::panicking() {
            cleared.expect("the alarm can be cleared");
        }
    }
}

/// A server with a short `consumer_timeout`, which it looks after often. It ends with this.
pub(crate) struct Impatience<'a>(&'a Server);

impl<'a> Impatience<'a> {
    pub(crate) fn of(server: &'a Server, timeout: Duration) -> Self {
        let impatience = Self(server);
        impatience.set(timeout, Duration::from_millis(200)).expect("it can be set");
        impatience
    }

    fn set(&self, timeout: Duration, looks: Duration) -> Result<(), String> {
        let (timeout, looks) = (timeout.as_millis(), looks.as_millis());
        let script = format!(
            "ok = application:set_env(rabbit, consumer_timeout, {timeout}), \
             ok = application:set_env(rabbit, channel_tick_interval, {looks})."
        );
        self.0.ctl(&["eval", &script]).map(drop).map_err(|error| error.to_string())
    }
}

impl Drop for Impatience<'_> {
    fn drop(&mut self) {
        let restored = self.set(Duration::from_secs(30 * 60), Duration::from_secs(60));
        if !std::thread::panicking() {
            restored.expect("it can be set back");
        }
    }
}

/// A channel beside those of the tests.
pub(crate) async fn channel(url: &str) -> Channel {
    let connecting = Connection::connect(url, ConnectionProperties::default());
    connecting.await.expect("a server").create_channel().await.expect("a channel")
}

/// At once: `rabbitmqctl` takes a second to begin.
pub(crate) async fn delete(channel: &Channel, queue: &str) {
    let deleting = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
    deleting.await.expect("the server is there");
}
