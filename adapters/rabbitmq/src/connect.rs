//! Connections, and the deadline of every call on them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use lapin::{Channel, Connection, ConnectionProperties, Event, types::LongString};
use steadfast::broker::{BoxError, BrokerError};

use crate::{config::Config, error::at_setup};

/// A connection. The client's own recovery is off: it has hung, and what it restores is not what was
/// checked at start.
pub(crate) struct Link {
    connection: Connection,
    deadline: Duration,
    blocked: Blocked,
}

/// Why the server takes nothing, while it takes nothing.
type Blocked = Arc<Mutex<Option<String>>>;

impl Link {
    /// Connects, under a name that the server's tools show.
    pub(crate) async fn open(config: &Config, name: &str) -> Result<Self, BrokerError> {
        let properties =
            ConnectionProperties::default().with_connection_name(LongString::from(name));
        let connecting = Connection::connect_uri(config.uri.clone(), properties);
        let connected = within(config.deadline, "connecting", connecting).await?;
        let connection = connected
            .map_err(|error| at_setup(error, &format!("connecting to {}", config.address())))?;
        let blocked = Blocked::default();
        tokio::spawn(watch(connection.events_listener(), Arc::clone(&blocked)));
        Ok(Self { connection, deadline: config.deadline, blocked })
    }

    /// What is said against a channel is no refusal: the client may repeat what was said against an
    /// earlier one, of the same number.
    pub(crate) async fn channel(&self) -> Result<Channel, BrokerError> {
        let opening = self.connection.create_channel();
        within(self.deadline, "opening a channel", opening).await?.map_err(BrokerError::unavailable)
    }

    /// Why the server takes nothing now: out of memory, out of disk space.
    pub(crate) fn blocked(&self) -> Option<String> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connection.status().connected()
    }

    /// Bytes of the largest frame.
    pub(crate) fn frame_max(&self) -> usize {
        usize::try_from(self.connection.configuration().frame_max()).unwrap_or(usize::MAX)
    }

    pub(crate) async fn close(&self) {
        let closing = self.connection.close(200, "closed".into());
        // One that does not answer is closed by its drop.
        let _ = within(self.deadline, "closing", closing).await;
    }
}

/// Follows what the server says of the connection; ends with it.
async fn watch(events: impl futures::Stream<Item = Event>, blocked: Blocked) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let now = match event {
            Event::ConnectionBlocked(reason) => {
                tracing::warn!(%reason, "RabbitMQ takes no messages");
                Some(reason)
            }
            Event::ConnectionUnblocked => {
                tracing::info!("RabbitMQ takes messages again");
                None
            }
            _ => continue,
        };
        *blocked.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// An answer, if it comes in time. Calls of the client have never returned after a cut.
pub(crate) async fn within<T>(
    deadline: Duration,
    doing: &str,
    call: impl Future<Output = T>,
) -> Result<T, BrokerError> {
    tokio::time::timeout(deadline, call)
        .await
        .map_err(|_| BrokerError::Unavailable(late(deadline, doing)))
}

pub(crate) fn late(deadline: Duration, doing: &str) -> BoxError {
    format!("no answer within {deadline:?} to {doing}").into()
}
