//! Secrets stay secret.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use steadfast::broker::{Broker as _, Subscription};
use steadfast_kafka::KafkaBroker;
use tracing_subscriber::fmt::MakeWriter;

const CANARY: &str = "canary-in-a-coal-mine";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// On a server that knows no SASL, so that something goes wrong at every step.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_logs_errors_or_debug() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .finish();
    // The client logs on threads of its own.
    tracing::subscriber::set_global_default(subscriber).expect("no other test of this program");

    let servers = steadfast_test_servers::kafka();
    let broker = |settings: &[(&str, &str)]| {
        let with = |broker: KafkaBroker, (name, value): &(&str, &str)| broker.set(*name, *value);
        settings.iter().fold(KafkaBroker::new(&servers), with)
    };
    let mut shown = String::new();
    for settings in [
        &[
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanisms", "PLAIN"),
            ("sasl.username", "billing"),
            ("sasl.password", CANARY),
            ("debug", "all"),
        ][..],
        &[("security.protocol", CANARY)],
        &[("sasl.mechanisms", CANARY), ("security.protocol", "sasl_plaintext")],
        &[("ssl.key.pem", CANARY), ("security.protocol", "ssl")],
        &[("no.such.setting", CANARY)],
        &[("enable.auto.commit", CANARY)],
        &[("session.timeout.ms", CANARY)],
    ] {
        let broker = broker(settings);
        shown += &format!("{broker:?} {broker:#?}");
        let refused = broker.subscribe(&Subscription::new("orders", "billing")).await;
        let refused = refused.err().expect("nothing works");
        shown += &format!("{refused} {refused:?}");
        if let Err(refused) = broker.publisher().await {
            shown += &format!("{refused} {refused:?}");
        }
    }
    let log = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let log = String::from_utf8_lossy(&log);
    assert!(!shown.contains(CANARY), "{shown}");
    assert!(!log.contains(CANARY), "the log has it");
}
