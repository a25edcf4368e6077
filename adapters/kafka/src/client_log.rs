//! The client's own log, as events of `tracing`.

use rdkafka::{
    client::ClientContext, config::RDKafkaLogLevel as Level, consumer::ConsumerContext,
    error::KafkaError, statistics::Statistics,
};

/// A context that does nothing but hand the log on.
pub(crate) struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: Level, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn stats(&self, _statistics: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the client reports");
    }
}

impl ConsumerContext for Logged {}

pub(crate) fn log(level: Level, facility: &str, line: &str) {
    match level {
        Level::Emerg | Level::Alert | Level::Critical | Level::Error => {
            tracing::warn!(facility, "librdkafka: {line}");
        }
        Level::Warning => tracing::info!(facility, "librdkafka: {line}"),
        _ => tracing::debug!(facility, "librdkafka: {line}"),
    }
}
