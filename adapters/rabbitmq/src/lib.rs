//! RabbitMQ for steadfast consumers.
//!
//! ```no_run
//! use steadfast::{Consumer, HandlerError, Shutdown, handler_fn};
//! use steadfast_rabbitmq::{Queue, RabbitMq};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = RabbitMq::new("amqp://billing:secret@rabbit.example/%2f")?
//!     .declare(Queue::quorum("orders"))
//!     .declare(Queue::quorum("orders.dead"));
//! let charge = handler_fn(|order: String| async move {
//!     println!("charged {order}");
//!     Ok::<_, HandlerError>(())
//! });
//! let consumer = Consumer::builder("billing.charge", charge)
//!     .source("orders")
//!     .group("billing")
//!     .dead_letter("orders.dead")
//!     .build(broker)?;
//! consumer.run(Shutdown::on_signal()?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What is declared, which way a message takes through a retry, what an operator sees and what is
//! not promised stands in `docs/rabbitmq.md`.

mod broker;
mod config;
mod connect;
mod convert;
mod error;
mod headers;
mod held;
mod inspect;
mod live;
mod publish;
mod pump;
mod queue;
mod room;
mod rules;
mod settle;
mod source;
mod topology;
mod unreadable;
mod version;
mod waiting;
mod window;

pub use self::{broker::RabbitMq, config::ConfigError, headers::*, queue::Queue};
