//! Mocks of the contracts, by [`mockall`](https://docs.rs/mockall), behind the feature `mock`.
//!
//! | to test | use |
//! |---|---|
//! | a handler, its retries, its dead letters, its duplicates | the crate `steadfast-mock`, a broker that behaves like one |
//! | that code of yours calls a store, a publisher, a source or a broker as it should, or what it does with an answer that is hard to come by | a mock, which expects calls and gives the answers that you script |
//!
//! [`MockBroker`] here and `steadfast_mock::MockBroker` are two things: this one does nothing but what is
//! expected of it, and that one is a broker, on which consumers run.
//!
//! What a handler publishes:
//!
//! ```
//! use steadfast::{
//!     Classify, HandlerError, Message,
//!     broker::{Publish, PublishError},
//!     mock::MockPublish,
//! };
//!
//! async fn remind(publish: &dyn Publish, customers: &[&'static str]) -> Result<(), HandlerError> {
//!     for &customer in customers {
//!         let reminder = Message::new("").with_key(customer);
//!         publish.publish("reminders", &reminder).await.unavailable("reminders")?;
//!     }
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mut publish = MockPublish::new();
//! let is_for = |name: &'static str| {
//!     move |to: &str, message: &Message| to == "reminders" && message.key.as_deref() == Some(name.as_bytes())
//! };
//! publish.expect_publish().withf(is_for("ann")).once().returning(|_, _| Ok(()));
//! publish
//!     .expect_publish()
//!     .withf(is_for("bob"))
//!     .once()
//!     .returning(|_, _| Err(PublishError::Unavailable("no connection".into())));
//!
//! let error = remind(&publish, &["ann", "bob", "eve"]).await.unwrap_err();
//! assert_eq!(error.kind().name(), "unavailable"); // and eve was not tried
//! # }
//! ```
//!
//! What becomes of a message whose dedup key belongs to another one:
//!
//! ```
//! use steadfast::{Consumer, DedupKey, handler_fn, mock::MockStore, store::Answer};
//! # use steadfast::Message;
//! # use steadfast_mock::MockBroker;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut store = MockStore::new();
//! store.expect_is_durable().return_const(true);
//! store.expect_lends_transactions().return_const(false);
//! store.expect_claim().once().returning(|_| Ok(Answer::Conflict));
//!
//! let broker = MockBroker::new();
//! broker.publish("orders", Message::new("7").with_header("delivery", "A1"));
//! let consumer = Consumer::builder("billing", handler_fn(|_: u64| async { Ok(()) }))
//!     .source("orders")
//!     .group("billing")
//!     .dead_letter("orders.dead")
//!     .store(store)
//!     .dedup_key(DedupKey::header("delivery"))
//!     .build(broker.clone())?;
//! let _running = broker.start(consumer);
//! broker.settled("orders").await;
//! broker.dead_letters("orders.dead").expect_one().with_reason("conflict");
//! # Ok(())
//! # }
//! ```
//!
//! What is asked of a broker and its source:
//!
//! ```
//! use std::sync::Arc;
//!
//! use steadfast::{
//!     broker::{Broker, BrokerError, Subscription},
//!     mock::{MockBroker, MockSource},
//! };
//!
//! /// How many processes a backlog is worth.
//! async fn processes_for(broker: &dyn Broker, queue: &str) -> Result<u64, BrokerError> {
//!     let source = broker.subscribe(&Subscription::new(queue, "scaler")).await?;
//!     let backlog = source.backlog().await?;
//!     source.close().await;
//!     Ok(backlog.map_or(1, |messages| messages.div_ceil(1_000)))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mut broker = MockBroker::new();
//! broker.expect_subscribe().withf(|asked| asked.source == "orders").once().returning(|_| {
//!     let mut source = MockSource::new();
//!     source.expect_backlog().once().returning(|| Ok(Some(2_500)));
//!     source.expect_close().once().return_const(()); // or the test fails
//!     Ok(Arc::new(source))
//! });
//! assert_eq!(processes_for(&broker, "orders").await.unwrap(), 3);
//! # }
//! ```
//!
//! A mock has no defaults: a method that has one in the trait, as `is_durable` above, needs an
//! expectation too. A future that waits cannot be scripted, so no consumer runs on a [`MockSource`].

pub use crate::{
    broker::{MockBroker, MockPublish, MockSource},
    store::MockStore,
};
