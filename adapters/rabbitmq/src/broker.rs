//! The broker: a configuration, and the connection for publishing that all share.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use steadfast::broker::{Broker, BrokerError, Publish, Source, Subscription};

use crate::{
    config::{Config, ConfigError},
    publish::Publishing,
    source,
};

/// A RabbitMQ server, or a cluster behind one address. Clones share the connection for publishing.
///
/// Sources and destinations are names of queues. Each session has a connection of its own.
#[derive(Clone)]
pub struct RabbitMq {
    config: Arc<Config>,
    publishing: Arc<OnceLock<Arc<Publishing>>>,
}

impl RabbitMq {
    /// A server by its URL, `amqp://user:password@host:port/virtual-host`, the virtual host
    /// percent-encoded and `/` if it is left out. `amqps://` needs the feature `tls`.
    ///
    /// `?frame_max=` bounds the bytes of a frame, and with it the headers of a message: 131,072 if it is
    /// left out, as the server's own default is, and at least 16,384. Where the server's bound is smaller,
    /// that one counts.
    ///
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When the URL cannot be read. It is not repeated in the error.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        Ok(Self { config: Arc::new(Config::new(url)?), publishing: Arc::default() })
    }

    pub(crate) fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self.publishing = Arc::default();
        self
    }

    fn publishing(&self) -> Arc<Publishing> {
        let new = || Arc::new(Publishing::new(Arc::clone(&self.config)));
        Arc::clone(self.publishing.get_or_init(new))
    }
}

#[async_trait]
impl Broker for RabbitMq {
    fn system(&self) -> &'static str {
        "rabbitmq"
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        source::open(Arc::clone(&self.config), self.publishing(), subscription).await
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        let publishing = self.publishing();
        publishing.live().await?;
        Ok(publishing)
    }
}

impl fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMq").field("config", &self.config).finish_non_exhaustive()
    }
}
