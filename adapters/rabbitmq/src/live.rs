//! The connection for publishing.

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicU64};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use lapin::{Channel, options::ConfirmSelectOptions};
use steadfast::broker::{BoxError, BrokerError};

use crate::{
    config::{Config, LEAST_FRAME},
    connect::{Link, within},
    inspect::Known,
    topology,
    unreadable::Streaks,
    version::Version,
};

/// A connection, and its channels that are not in use.
pub(crate) struct Live {
    pub(crate) version: Version,
    pub(crate) link: Link,
    idle: Mutex<Vec<Channel>>,
    /// How many messages were confirmed on it.
    pub(crate) confirmed: AtomicU64,
}

/// The connection that everybody uses, or the attempt to make it.
pub(crate) struct Current {
    config: Arc<Config>,
    latest: Mutex<Option<Attempt>>,
    /// What sessions have learned of their queues.
    pub(crate) known: Known,
    /// How sessions have ended.
    pub(crate) streaks: Streaks,
}

/// Whoever waits for an attempt gets its outcome: a server that is down is asked once for all of them.
type Attempt = Shared<BoxFuture<'static, Result<Arc<Live>, Failed>>>;

#[derive(Clone)]
enum Failed {
    Misconfigured(String),
    Unavailable(Arc<BoxError>),
}

impl Current {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            latest: Mutex::default(),
            known: Known::default(),
            streaks: Streaks::default(),
        }
    }

    pub(crate) async fn live(&self) -> Result<Arc<Live>, BrokerError> {
        Ok(self.attempt().await?)
    }

    fn attempt(&self) -> Attempt {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = &*latest {
            match attempt.peek() {
                None => return attempt.clone(),
                Some(Ok(live)) if live.link.is_connected() => return attempt.clone(),
                Some(_) => {}
            }
        }
        let config = Arc::clone(&self.config);
        let attempt = async move { Ok(Arc::new(Live::open(&config).await?)) }.boxed().shared();
        // It comes to its end although those who wait for it give up.
        tokio::spawn(attempt.clone());
        *latest = Some(attempt.clone());
        attempt
    }

    /// Lets go of a connection that is of no more use. Who uses it still has it.
    pub(crate) fn is_lost(&self, lost: &Arc<Live>) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |attempt: &Attempt| {
            attempt.peek().is_some_and(|made| matches!(made, Ok(live) if Arc::ptr_eq(live, lost)))
        };
        if latest.as_ref().is_some_and(same) {
            *latest = None;
        }
    }
}

impl Live {
    async fn open(config: &Config) -> Result<Self, BrokerError> {
        let version = Version::of(config).await?;
        let link = Link::open(config, "steadfast publishes").await?;
        let frame = link.frame_max();
        if frame < LEAST_FRAME as usize {
            return Err(BrokerError::Misconfigured(format!(
                "the server's `frame_max` of {frame} bytes is too small for the headers of a dead letter: \
                 set at least {LEAST_FRAME}"
            )));
        }
        topology::declare_all(&link, config, version).await?;
        Ok(Self { version, link, idle: Mutex::default(), confirmed: AtomicU64::new(0) })
    }

    /// A channel in confirm mode. It does not come back from a publish that failed.
    pub(crate) async fn channel(
        &self,
        deadline: std::time::Duration,
    ) -> Result<Channel, BrokerError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(channel) = idle() {
            if channel.status().connected() {
                return Ok(channel);
            }
        }
        let channel = self.link.channel().await?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        within(deadline, "switching on confirms", confirming)
            .await?
            .map_err(BrokerError::unavailable)?;
        Ok(channel)
    }

    pub(crate) fn give_back(&self, channel: Channel) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
    }
}

impl From<BrokerError> for Failed {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Misconfigured(words) => Self::Misconfigured(words),
            BrokerError::Unavailable(error) => Self::Unavailable(Arc::new(error)),
            other => Self::Unavailable(Arc::new(other.into())),
        }
    }
}

impl From<Failed> for BrokerError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Misconfigured(words) => Self::Misconfigured(words),
            Failed::Unavailable(error) => Self::unavailable(Together(error)),
        }
    }
}

/// An error that several have met.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Together(#[source] Arc<BoxError>);
