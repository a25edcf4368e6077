//! Breaches in what a publisher confirms.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use steadfast::{
    Message,
    broker::{BrokerError, Publish, PublishError},
};

use crate::bent::Breach;

/// Confirms, and stores nothing.
pub(crate) struct ConfirmsUnseen;

#[async_trait]
impl Breach for ConfirmsUnseen {
    async fn publish(&self, _: &dyn Publish, _: &str, _: &Message) -> Result<(), PublishError> {
        Ok(())
    }
}

/// Confirms what could not be placed.
pub(crate) struct ConfirmsWhatFailed;

#[async_trait]
impl Breach for ConfirmsWhatFailed {
    async fn publish(
        &self,
        publisher: &dyn Publish,
        destination: &str,
        message: &Message,
    ) -> Result<(), PublishError> {
        let _ = publisher.publish(destination, message).await;
        Ok(())
    }
}

/// Cuts a message that is too large, and confirms it.
pub(crate) struct CutsInSilence;

#[async_trait]
impl Breach for CutsInSilence {
    async fn publish(
        &self,
        publisher: &dyn Publish,
        destination: &str,
        message: &Message,
    ) -> Result<(), PublishError> {
        match publisher.publish(destination, message).await {
            Err(PublishError::Refused(_)) => {
                let mut cut = message.clone();
                let payload = cut.payload.take().unwrap_or_default();
                cut.payload = Some(payload.slice(..payload.len() / 2));
                publisher.publish(destination, &cut).await
            }
            answer => answer,
        }
    }
}

/// Takes a refusal of one message for an outage.
pub(crate) struct TakesRefusalsForOutages;

#[async_trait]
impl Breach for TakesRefusalsForOutages {
    async fn publish(
        &self,
        publisher: &dyn Publish,
        destination: &str,
        message: &Message,
    ) -> Result<(), PublishError> {
        publisher.publish(destination, message).await.map_err(|error| match error {
            PublishError::Refused(error) => PublishError::Unavailable(error),
            error => error,
        })
    }
}

/// Takes an outage for a refusal of the message.
pub(crate) struct TakesOutagesForRefusals;

#[async_trait]
impl Breach for TakesOutagesForRefusals {
    async fn publish(
        &self,
        publisher: &dyn Publish,
        destination: &str,
        message: &Message,
    ) -> Result<(), PublishError> {
        publisher.publish(destination, message).await.map_err(|error| match error {
            PublishError::Unavailable(error) => PublishError::Refused(error),
            error => error,
        })
    }
}

/// Gives the last answer that came to all who wait for one.
#[derive(Default)]
pub(crate) struct MixesAnswers(AtomicBool);

#[async_trait]
impl Breach for MixesAnswers {
    async fn publish(
        &self,
        publisher: &dyn Publish,
        destination: &str,
        message: &Message,
    ) -> Result<(), PublishError> {
        let answer = publisher.publish(destination, message).await;
        self.0.store(answer.is_ok(), Ordering::Relaxed);
        tokio::task::yield_now().await;
        match self.0.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(PublishError::Refused("too large".into())),
        }
    }
}

/// Publishes under no key.
pub(crate) struct LosesKeys;

#[async_trait]
impl Breach for LosesKeys {
    async fn publish(
        &self,
        publisher: &dyn Publish,
        destination: &str,
        message: &Message,
    ) -> Result<(), PublishError> {
        let mut keyless = message.clone();
        keyless.key = None;
        publisher.publish(destination, &keyless).await
    }
}

/// Publishes no header beyond the tenth.
pub(crate) struct TakesTenHeaders;

#[async_trait]
impl Breach for TakesTenHeaders {
    async fn publish(
        &self,
        publisher: &dyn Publish,
        destination: &str,
        message: &Message,
    ) -> Result<(), PublishError> {
        let mut few = message.clone();
        few.headers =
            message.headers.iter().take(10).map(|(name, v)| (name.to_owned(), v.clone())).collect();
        publisher.publish(destination, &few).await
    }
}

/// Has no empty header values.
pub(crate) struct FillsEmptyValues;

#[async_trait]
impl Breach for FillsEmptyValues {
    async fn publish(
        &self,
        publisher: &dyn Publish,
        destination: &str,
        message: &Message,
    ) -> Result<(), PublishError> {
        let fill = |value: &Bytes| match value.is_empty() {
            true => Bytes::from_static(b" "),
            false => value.clone(),
        };
        let mut filled = message.clone();
        filled.headers =
            message.headers.iter().map(|(name, value)| (name.to_owned(), fill(value))).collect();
        publisher.publish(destination, &filled).await
    }
}

/// Finds everything in order.
pub(crate) struct ChecksNothing;

#[async_trait]
impl Breach for ChecksNothing {
    async fn check(&self, _: &dyn Publish, _: &str) -> Result<(), BrokerError> {
        Ok(())
    }
}

/// Checks by leaving a message.
pub(crate) struct ChecksByPublishing;

#[async_trait]
impl Breach for ChecksByPublishing {
    async fn check(&self, publisher: &dyn Publish, destination: &str) -> Result<(), BrokerError> {
        let probe = Message::new("only a test");
        publisher.publish(destination, &probe).await.map_err(BrokerError::unavailable)
    }
}
