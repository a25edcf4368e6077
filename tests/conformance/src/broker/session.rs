//! One session on the raw contract, read one delivery at a time.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use steadfast::{
    Delivery, Message,
    broker::{BrokerError, Demand, Settle, SettleError, Settlement, Source, Subscription},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use super::{
    Topic,
    wait::{BETWEEN_QUESTIONS, within},
};

/// A source, as a consumer would use it: a pending `receive` is never dropped, and a session that
/// has ended is followed by another.
pub(crate) struct Session<'t> {
    pub(crate) topic: &'t Topic<'t>,
    pub(crate) source: Arc<dyn Source>,
    subscription: Subscription,
    receiving: Option<JoinHandle<Result<Vec<Delivery>, BrokerError>>>,
    inbox: VecDeque<Delivery>,
}

impl<'t> Session<'t> {
    pub(crate) async fn open(topic: &'t Topic<'t>, subscription: Subscription) -> Self {
        let source = subscribe(topic, &subscription).await;
        Self { topic, source, subscription, receiving: None, inbox: VecDeque::new() }
    }

    /// The next delivery. Cancel safe.
    pub(crate) async fn next(&mut self) -> Delivery {
        let patience = self.topic.patience();
        let next = self.next_within(patience).await;
        next.unwrap_or_else(|| panic!("waited {patience:?} in vain for a delivery"))
    }

    /// The next delivery, if one comes within this time. Cancel safe.
    pub(crate) async fn next_within(&mut self, limit: Duration) -> Option<Delivery> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(delivery) = self.inbox.pop_front() {
                return Some(delivery);
            }
            let received = timeout_at(deadline, self.receive()).await.ok()?;
            match received {
                Ok(deliveries) if deliveries.is_empty() => sleep(BETWEEN_QUESTIONS).await,
                Ok(deliveries) => self.inbox.extend(deliveries),
                Err(BrokerError::Unavailable(_)) => {
                    self.source.close().await;
                    self.source = subscribe(self.topic, &self.subscription).await;
                }
                Err(error) => panic!("the source cannot receive: {error}"),
            }
        }
    }

    /// The next delivery, which must be of this message.
    pub(crate) async fn next_is(&mut self, text: &str) -> Delivery {
        let delivery = self.next().await;
        assert_eq!(text_of(&delivery.message), text, "the next message should be another");
        delivery
    }

    /// The next deliveries of these messages, in whatever order they come, as asked for.
    pub(crate) async fn take<const N: usize>(&mut self, texts: [&str; N]) -> [Delivery; N] {
        let mut taken = [const { None }; N];
        while taken.iter().any(Option::is_none) {
            let delivery = self.next().await;
            let text = text_of(&delivery.message);
            let index = texts.iter().position(|wanted| *wanted == text);
            let index = index.unwrap_or_else(|| panic!("{text:?} came, not one of {texts:?}"));
            let before = taken[index].replace(delivery);
            assert!(before.is_none(), "{text:?} came twice");
        }
        taken.map(|delivery| delivery.expect("the loop has ended"))
    }

    /// Settles, and returns the answer.
    pub(crate) async fn try_settle(&self, settle: &Settle) -> Result<(), SettleError> {
        let mut answers = self.settle_batch(std::slice::from_ref(settle)).await;
        answers.remove(0)
    }

    /// Settles a batch, which must be answered one for one.
    pub(crate) async fn settle_batch(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        let settling = self.source.settle(batch);
        let answers = within(self.topic.patience(), "the answer to a settlement", settling).await;
        assert_eq!(answers.len(), batch.len(), "each settlement of a batch has its answer");
        answers
    }

    /// Settles what is ours, as a consumer does: what could not be settled is tried again.
    pub(crate) async fn settle_all(&self, batch: &[Settle]) {
        let settling = async {
            let mut left = batch.to_vec();
            while !left.is_empty() {
                let answers = self.settle_batch(&left).await;
                let mut again = Vec::new();
                for (settle, answer) in left.into_iter().zip(answers) {
                    let (text, settlement) = (text_of(&settle.message), settle.settlement);
                    match answer {
                        Ok(()) => {}
                        Err(SettleError::Unavailable(_)) => again.push(settle),
                        Err(error) => panic!("{text:?} is ours, and {settlement:?}: {error}"),
                    }
                }
                left = again;
                if !left.is_empty() {
                    sleep(BETWEEN_QUESTIONS).await;
                }
            }
        };
        within(self.topic.patience(), "settlements", settling).await;
    }

    pub(crate) async fn settle(&self, delivery: Delivery, settlement: Settlement) {
        self.settle_all(&[Settle::new(delivery, settlement)]).await;
    }

    pub(crate) async fn ack(&self, delivery: Delivery) {
        self.settle(delivery, Settlement::Ack).await;
    }

    pub(crate) async fn release(&self, delivery: Delivery) {
        self.settle(delivery, Settlement::Release).await;
    }

    /// Requeues a failed attempt.
    pub(crate) async fn requeue(&self, delivery: Delivery, delay: Duration) {
        self.settle(delivery, Settlement::Requeue { delay, counted: true }).await;
    }

    /// Stops, hands back what came meanwhile, and closes.
    pub(crate) async fn close(mut self) {
        let patience = self.topic.patience();
        within(patience, "the source to stop", self.source.stop()).await;
        if let Some(receiving) = self.receiving.take() {
            let late = within(patience, "the last receive to end after the stop", receiving).await;
            self.inbox.extend(late.expect("a receive does not panic").unwrap_or_default());
        }
        for delivery in std::mem::take(&mut self.inbox) {
            // What cannot be handed back comes again when the session has ended.
            let _ = self.try_settle(&Settle::new(delivery, Settlement::Release)).await;
        }
        within(patience, "the source to close", self.source.close()).await;
    }

    async fn receive(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        let receiving = self.receiving.get_or_insert_with(|| {
            let source = Arc::clone(&self.source);
            tokio::spawn(async move { source.receive(Demand::new(1, usize::MAX)).await })
        });
        let received = receiving.await;
        self.receiving = None;
        received.expect("a receive does not panic")
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(receiving) = &self.receiving {
            receiving.abort();
        }
    }
}

/// Opens a session, as soon as the broker is there.
async fn subscribe(topic: &Topic<'_>, subscription: &Subscription) -> Arc<dyn Source> {
    let broker = topic.harness.broker();
    let subscribing = async {
        loop {
            match broker.subscribe(subscription).await {
                Ok(source) => return source,
                Err(BrokerError::Unavailable(_)) => sleep(BETWEEN_QUESTIONS).await,
                Err(error) => panic!("the topic cannot be subscribed to: {error}"),
            }
        }
    };
    within(topic.patience(), "a session", subscribing).await
}

/// The next delivery of two sessions, and which of them has it.
pub(crate) async fn next_of(one: &mut Session<'_>, two: &mut Session<'_>) -> (u8, Delivery) {
    tokio::select! {
        delivery = one.next() => (1, delivery),
        delivery = two.next() => (2, delivery),
    }
}

/// A payload as text.
pub(crate) fn text_of(message: &Message) -> String {
    message
        .payload
        .as_deref()
        .map_or_else(String::new, |payload| String::from_utf8_lossy(payload).into_owned())
}
