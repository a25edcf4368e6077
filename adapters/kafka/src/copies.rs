//! Retry copies on their way into a tier.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use steadfast::{
    Receipt,
    broker::{Publish as _, PublishError, Settle},
};
use tokio::{task::JoinHandle, time::timeout};

use crate::publish::KafkaPublisher;

/// Publishes copies. One that takes long goes on while its settlement is told to come again, so that the
/// copy is made once, and so that no ack of the same batch waits for it.
pub(crate) struct Copies {
    publisher: KafkaPublisher,
    under_way: Mutex<HashMap<Receipt, Copying>>,
}

type Copying = JoinHandle<Result<(), PublishError>>;

/// How long one settlement waits for its copy.
const WAIT: Duration = Duration::from_secs(2);

impl Copies {
    pub(crate) fn new(publisher: KafkaPublisher) -> Self {
        Self { publisher, under_way: Mutex::default() }
    }

    /// Returns once the copy is confirmed.
    ///
    /// # Errors
    /// Also when it takes long: ask again.
    pub(crate) async fn publish(&self, settle: &Settle, topic: &str) -> Result<(), PublishError> {
        let mut copying = match self.under_way(|all| all.remove(&settle.receipt)) {
            Some(copying) => copying,
            None => self.begin(settle, topic),
        };
        match timeout(WAIT, &mut copying).await {
            Ok(Ok(published)) => published,
            Ok(Err(panic)) => Err(PublishError::Unavailable(panic.into())),
            Err(_) => {
                self.under_way(|all| all.insert(settle.receipt, copying));
                let words = format!("the copy is not confirmed after {WAIT:?}");
                Err(PublishError::Unavailable(words.into()))
            }
        }
    }

    /// Forgets those for which nobody will ask again.
    pub(crate) fn keep(&self, is_held: impl Fn(&Receipt) -> bool) {
        self.under_way(|all| all.retain(|receipt, _| is_held(receipt)));
    }

    fn begin(&self, settle: &Settle, topic: &str) -> Copying {
        let (publisher, copy) = (self.publisher.clone(), settle.retry_copy());
        let topic = topic.to_owned();
        tokio::spawn(async move { publisher.publish(&topic, &copy).await })
    }

    fn under_way<T>(&self, change: impl FnOnce(&mut HashMap<Receipt, Copying>) -> T) -> T {
        change(&mut self.under_way.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
