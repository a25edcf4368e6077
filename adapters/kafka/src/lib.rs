//! Apache Kafka for steadfast consumers.
//!
//! ```no_run
//! use steadfast::{Consumer, HandlerError, Shutdown, handler_fn};
//! use steadfast_kafka::KafkaBroker;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let charge = handler_fn(|order: String| async move {
//!     println!("charging {order}");
//!     Ok::<_, HandlerError>(())
//! });
//! let broker = KafkaBroker::new("localhost:9092");
//! let consumer = Consumer::builder("billing.charge", charge)
//!     .source("orders.placed")
//!     .group("billing")
//!     .dead_letter("orders.placed.dead")
//!     .build(broker)?;
//! consumer.run(Shutdown::on_signal()?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | Kafka | here |
//! |---|---|
//! | commits are a watermark, not an ack | an offset is committed once everything before it is settled |
//! | a slow handler evicts its member | a thread of its own polls always |
//! | a rebalance takes partitions away | nothing more is taken of them; what is in flight has a bounded time; then a synchronous commit |
//! | a partition is one sequence | [ordered](steadfast::Builder::ordered_by) consumers keep order by key, inside of it, side by side |
//! | there is no delay | a retry waits in place, or in [retry topics](KafkaBroker::retry_tiers) of the group |
//! | deliveries are not counted | the store counts attempts |

mod beginning;
mod broker;
mod client;
mod client_log;
mod commit;
mod config;
mod convert;
mod copies;
mod end;
mod error;
mod lag;
mod look;
mod partition;
mod poll;
mod positions;
mod publish;
mod rebalance;
mod reserved;
mod retry_topics;
mod settle;
mod source;
mod state;
mod tier_topics;
mod watermark;

pub use self::{
    broker::KafkaBroker,
    config::{ChoosePartition, GroupProtocol, Partitioner, Start},
    lag::PartitionLag,
};
