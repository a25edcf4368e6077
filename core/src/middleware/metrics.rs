//! Counts what happens, through the `metrics` facade.

use std::{sync::Arc, time::Duration};

use metrics::{Counter, Gauge, Histogram};
use tokio::time::Instant;

use crate::{Cause, Delivery, Middleware, Outcome, Process, Reason};

/// Handles on the metrics of one consumer, looked up once.
pub(crate) struct Meters {
    processed: [(&'static str, Counter); 7],
    retries: Counter,
    conflicts: Counter,
    fenced: Counter,
    pub(crate) settle_failures: Counter,
    in_flight: Gauge,
    backlog: Gauge,
    process_seconds: Histogram,
    age_seconds: Histogram,
}

impl Meters {
    pub(crate) fn new(consumer: &str) -> Arc<Self> {
        let label = || ("consumer", consumer.to_owned());
        let processed = |outcome: &'static str| {
            let labels = [label(), ("outcome", outcome.to_owned())];
            (outcome, metrics::counter!("steadfast_processed_total", &labels))
        };
        Arc::new(Self {
            processed: [
                processed("done"),
                processed("duplicate"),
                processed("ignored"),
                processed("retry"),
                processed("dead_lettered"),
                processed("release"),
                processed("busy"),
            ],
            retries: metrics::counter!("steadfast_retries_total", &[label()]),
            conflicts: metrics::counter!("steadfast_conflicts_total", &[label()]),
            fenced: metrics::counter!("steadfast_fenced_total", &[label()]),
            settle_failures: metrics::counter!("steadfast_settle_failures_total", &[label()]),
            in_flight: metrics::gauge!("steadfast_in_flight", &[label()]),
            backlog: metrics::gauge!("steadfast_backlog", &[label()]),
            process_seconds: metrics::histogram!("steadfast_process_seconds", &[label()]),
            age_seconds: metrics::histogram!("steadfast_age_seconds", &[label()]),
        })
    }

    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }

    pub(crate) fn backlog(&self, messages: u64) {
        #[allow(clippy::cast_precision_loss, reason = "a gauge needs no more than 53 bits")]
        self.backlog.set(messages as f64);
    }

    fn ended(&self, outcome: &Outcome, took: Duration) {
        let name = match outcome {
            Outcome::Release { cause: Cause::Busy | Cause::NotYet, .. } => "busy",
            outcome => outcome.name(),
        };
        if let Some((_, counter)) = self.processed.iter().find(|(known, _)| *known == name) {
            counter.increment(1);
        }
        match outcome {
            Outcome::DeadLettered(Reason::Conflict) => self.conflicts.increment(1),
            Outcome::Release { cause: Cause::Cancelled(crate::Cancelled::LeaseLost), .. } => {
                self.fenced.increment(1);
            }
            _ => {}
        }
        self.process_seconds.record(took);
    }
}

/// Counts each delivery by its outcome.
pub(crate) struct Metrics(pub(crate) Arc<Meters>);

impl Middleware for Metrics {
    async fn process(&self, delivery: &mut Delivery, next: &impl Process) -> Outcome {
        let started = Instant::now();
        if let Some(age) = delivery.age() {
            self.0.age_seconds.record(age);
        }
        self.0.in_flight.increment(1);
        let outcome = next.run(delivery).await;
        self.0.in_flight.decrement(1);
        self.0.ended(&outcome, started.elapsed());
        outcome
    }
}
