//! The broker of a run: the one place that knows one from another.

use std::sync::Arc;

use steadfast::broker::Broker;
use steadfast_mock::MockBroker;

use crate::{cli::Options, faults, kafka, rabbitmq, scheme};

/// What publisher, consumer and auditor use, and what only the embedded broker can do.
pub(crate) struct ChosenBroker {
    pub(crate) broker: Arc<dyn Broker>,
    /// Takes faults, and can be looked into.
    pub(crate) embedded: Option<MockBroker>,
}

/// Where the messages of a run are, named after it, so that runs do not meet.
pub(crate) struct Topics {
    pub(crate) source: String,
    pub(crate) dead: String,
    /// Dead letters that even the auditor cannot read.
    pub(crate) unreadable: String,
}

const SCHEMES: [&str; 5] = ["amqp", "amqps", "kafka", "sqs", "pubsub"];

/// Connects, and sees to it that the topics are there.
///
/// # Errors
/// In words that name the option and no address.
pub(crate) async fn open(options: &Options, topics: &Topics) -> Result<ChosenBroker, String> {
    match scheme::of("--broker", &options.broker, "mock", &SCHEMES)? {
        "amqp" | "amqps" => {
            let broker = rabbitmq::open(&options.broker, topics).await?;
            Ok(ChosenBroker { broker, embedded: None })
        }
        "kafka" => {
            let broker = kafka::open(&options.broker, topics).await?;
            Ok(ChosenBroker { broker, embedded: None })
        }
        "sqs" => Err(absent("SQS")),
        "pubsub" => Err(absent("Pub/Sub")),
        _ => {
            let mock = faults::broker(options.seed);
            Ok(ChosenBroker { broker: Arc::new(mock.clone()), embedded: Some(mock) })
        }
    }
}

fn absent(what: &str) -> String {
    format!(
        "--broker: this version has no {what} adapter yet: leave --broker away, or use --broker mock"
    )
}

impl ChosenBroker {
    /// Whether the embedded broker holds nothing any more, duplicates of what has ended included. Of
    /// others it is enough that each copy has ended.
    pub(crate) fn is_empty(&self, topics: &Topics) -> bool {
        self.embedded.as_ref().is_none_or(|mock| {
            let holds = |topic| mock.backlog(topic) + mock.unsettled(topic);
            holds(&topics.source) + holds(&topics.dead) == 0
        })
    }
}

impl Topics {
    pub(crate) fn of(run: &str) -> Self {
        Self {
            source: run.to_owned(),
            dead: format!("{run}.dead"),
            unreadable: format!("{run}.dead.unreadable"),
        }
    }
}
