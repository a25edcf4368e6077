//! The client's settings that are not the user's, because a promise hangs on them.

/// What to do instead of setting this; `None` where it may be set.
pub(crate) fn fix(name: &str) -> Option<&'static str> {
    RESERVED.iter().find(|(reserved, _)| *reserved == name).map(|(_, fix)| *fix)
}

const COMMITS: &str = "offsets are committed when everything before them is settled; leave it out";
const CONFIRMS: &str =
    "a copy is confirmed by all replicas before its original is settled; leave it out";

const RESERVED: &[(&str, &str)] = &[
    ("bootstrap.servers", "give them to `KafkaBroker::new`"),
    ("metadata.broker.list", "give them to `KafkaBroker::new`"),
    ("group.id", "it is the consumer's `.group(…)`"),
    ("enable.auto.commit", COMMITS),
    ("auto.commit.enable", COMMITS),
    ("auto.commit.interval.ms", "use `KafkaBroker::commit_interval`"),
    ("enable.auto.offset.store", COMMITS),
    ("offset.store.method", COMMITS),
    ("auto.offset.reset", "use `KafkaBroker::start`"),
    ("enable.partition.eof", "the adapter needs it as it is; leave it out"),
    ("statistics.interval.ms", "the adapter reads the lag from them; leave it out"),
    ("partition.assignment.strategy", "use `KafkaBroker::group_protocol`"),
    ("group.protocol", "use `KafkaBroker::group_protocol`"),
    ("group.instance.id", "use `KafkaBroker::static_member`"),
    ("acks", CONFIRMS),
    ("request.required.acks", CONFIRMS),
    ("enable.idempotence", CONFIRMS),
    ("transactional.id", "the adapter's producer is idempotent, not transactional; leave it out"),
    ("delivery.report.only.error", CONFIRMS),
    ("message.timeout.ms", "use `KafkaBroker::publish_timeout`"),
    ("delivery.timeout.ms", "use `KafkaBroker::publish_timeout`"),
    ("message.max.bytes", "use `KafkaBroker::max_message_bytes`"),
    ("partitioner", "use `KafkaBroker::partitioner`"),
];
