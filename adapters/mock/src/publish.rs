//! Publishing as a consumer does it: confirmed, and subject to faults.

use std::sync::Arc;

use async_trait::async_trait;
use steadfast::{
    Message,
    broker::{BrokerError, Publish, PublishError},
};

use crate::{
    Point,
    crash::Pulse,
    faults::Refusal,
    queue::Time,
    state::{Shared, State, missing},
};

pub(crate) struct MockPublisher {
    shared: Arc<Shared>,
    pulse: Pulse,
}

impl MockPublisher {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, pulse: Pulse::default() }
    }
}

#[async_trait]
impl Publish for MockPublisher {
    async fn publish(&self, destination: &str, message: &Message) -> Result<(), PublishError> {
        let crash = &self.shared.crash;
        self.pulse.pass(crash, Point::BeforePublish).await;
        self.shared.update(|state, now| state.take(destination, message, now))?;
        self.pulse.pass(crash, Point::AfterPublish).await;
        Ok(())
    }

    async fn check(&self, destination: &str) -> Result<(), BrokerError> {
        self.pulse.alive().await;
        self.shared.with(|state, _| {
            if state.plan.is_down(destination) {
                return Err(BrokerError::unavailable(format!("`{destination}` is down")));
            }
            // Looks only: a check leaves no topic behind.
            if state.config.strict_topics && !state.topics.contains_key(destination) {
                return Err(BrokerError::Misconfigured(missing(destination)));
            }
            Ok(())
        })
    }
}

impl State {
    fn take(&mut self, topic: &str, message: &Message, now: Time) -> Result<(), PublishError> {
        match self.plan.refuses_publish(topic) {
            Some(Refusal::Unavailable) => {
                return Err(PublishError::Unavailable(format!("`{topic}` is down").into()));
            }
            Some(Refusal::Refused) => {
                return Err(PublishError::Refused(format!("`{topic}` does not take it").into()));
            }
            None => {}
        }
        let size = message.size();
        if !self.config.fits(size) {
            return Err(PublishError::Refused(format!("{size} bytes are too many").into()));
        }
        self.publish(topic, None, message.clone(), now)
            .ok_or_else(|| PublishError::Unavailable(missing(topic).into()))?;
        if self.plan.loses_confirm(topic) {
            return Err(PublishError::Unavailable("the confirmation did not come".into()));
        }
        Ok(())
    }
}
