//! One span for each delivery, with the OpenTelemetry messaging conventions' names.

use std::sync::Arc;

use tracing::{Instrument, Span, field::Empty};

use crate::{Delivery, Middleware, Outcome, Process, TraceContext};

/// Opens the span `process`. It names the producer's trace, so that an exporter can link to it:
/// a queue may hold a message for days, which makes a poor parent.
pub(crate) struct Trace {
    pub(crate) system: &'static str,
    pub(crate) consumer: Arc<str>,
    pub(crate) group: Arc<str>,
}

impl Middleware for Trace {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let span = self.span(delivery);
        if span.is_disabled() {
            return next.run(delivery).await;
        }
        let outcome = next.run(delivery).instrument(span.clone()).await;
        span.record("steadfast.attempt", delivery.attempt());
        span.record("steadfast.outcome", outcome.name());
        span.in_scope(|| tell(&outcome));
        outcome
    }
}

impl Trace {
    fn span(&self, delivery: &Delivery) -> Span {
        let origin = &delivery.origin;
        let span = tracing::info_span!(
            "process",
            otel.kind = "consumer",
            messaging.system = self.system,
            messaging.operation.r#type = "process",
            messaging.destination.name = %origin.source,
            messaging.consumer.group.name = %self.group,
            messaging.message.id = origin.message_id.as_deref(),
            steadfast.consumer = %self.consumer,
            steadfast.position = origin.position.as_deref(),
            steadfast.attempt = Empty,
            steadfast.outcome = Empty,
            producer.trace_id = Empty,
            producer.span_id = Empty,
        );
        if !span.is_disabled()
            && let Some(producer) = TraceContext::read(&delivery.message.headers)
        {
            span.record("producer.trace_id", producer.trace_id());
            span.record("producer.span_id", producer.span_id());
        }
        span
    }
}

fn tell(outcome: &Outcome) {
    match outcome {
        Outcome::DeadLettered(reason) => tracing::warn!(%reason, "dead-lettered"),
        Outcome::Release { cause, .. } => tracing::debug!(?cause, "released"),
        _ => {}
    }
}
