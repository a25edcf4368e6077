//! What tests do with topics beside the adapter.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::{Headers as _, Message as _},
    metadata::MetadataTopic,
};
use steadfast::Message;

const PATIENCE: Duration = Duration::from_secs(30);

fn client(servers: &str) -> (AdminClient<DefaultClientContext>, AdminOptions) {
    let client = ClientConfig::new().set("bootstrap.servers", servers).create();
    (client.expect("an admin"), AdminOptions::new().operation_timeout(Some(PATIENCE)))
}

pub(crate) async fn create_topic(servers: &str, name: &str, partitions: i32) {
    create_topic_with(servers, name, partitions, &[]).await;
}

/// Returns once the brokers tell of it: one that is busy may be seconds behind what was confirmed.
pub(crate) async fn create_topic_with(
    servers: &str,
    name: &str,
    partitions: i32,
    settings: &[(&str, &str)],
) {
    let (admin, options) = client(servers);
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let topic = settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
    let created = admin.create_topics([&topic], &options).await.expect("Kafka answers");
    for one in created {
        one.expect("the topic can be created");
    }
    let has_leaders = |topic: &MetadataTopic| {
        topic.partitions().len() == usize::try_from(partitions).expect("a count")
            && topic.partitions().iter().all(|one| one.error().is_none() && one.leader() >= 0)
    };
    until_told(servers, name, has_leaders).await;
}

pub(crate) async fn delete_topic(servers: &str, name: &str) {
    let (admin, options) = client(servers);
    for one in admin.delete_topics(&[name], &options).await.expect("Kafka answers") {
        one.expect("the topic can be deleted");
    }
    until_told(servers, name, |topic| topic.error().is_some()).await;
}

async fn until_told(servers: &str, name: &str, is_so: impl Fn(&MetadataTopic) -> bool) {
    let looker: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", servers).create().expect("a client");
    let began = Instant::now();
    while !tokio::task::block_in_place(|| {
        let metadata = looker.fetch_metadata(Some(name), PATIENCE).expect("metadata");
        is_so(&metadata.topics()[0])
    }) {
        assert!(began.elapsed() < PATIENCE, "no broker has heard of the change of {name}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What is before this offset is gone.
pub(crate) async fn delete_before(servers: &str, topic: &str, partition: i32, offset: i64) {
    let (admin, options) = client(servers);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("an offset");
    let deleted = admin.delete_records(&list, &options).await.expect("Kafka answers");
    for one in deleted.elements() {
        one.error().expect("records can be deleted");
    }
}

/// A setting of a topic.
pub(crate) async fn setting(servers: &str, topic: &str, name: &str) -> String {
    let (admin, options) = client(servers);
    let topics = [ResourceSpecifier::Topic(topic)];
    let mut described = admin.describe_configs(&topics, &options).await.expect("Kafka answers");
    let described = described.remove(0).expect("the topic is there");
    described.get(name).and_then(|entry| entry.value.clone()).expect("it is set")
}

pub(crate) async fn set(servers: &str, topic: &str, name: &str, value: &str) {
    let (admin, options) = client(servers);
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
    for one in admin.alter_configs([&change], &options).await.expect("Kafka answers") {
        one.expect("the topic can be changed");
    }
}

/// What a group has committed, by partition.
pub(crate) fn committed(servers: &str, group: &str, topic: &str) -> BTreeMap<i32, i64> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", group)
        .create()
        .expect("a reader");
    let mut asked = TopicPartitionList::new();
    let metadata = reader.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
    for partition in metadata.topics()[0].partitions() {
        asked.add_partition(topic, partition.id());
    }
    let told = reader.committed_offsets(asked, PATIENCE).expect("offsets");
    let offset = |offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
    told.elements()
        .iter()
        .filter_map(|one| Some((one.partition(), offset(one.offset())?)))
        .collect()
}

/// By the time of publishing: partitions have no common order.
pub(crate) fn read_all(servers: &str, topic: &str) -> Vec<Message> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a reader");
    let metadata = reader.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
    let mut ends = BTreeMap::new();
    let mut all = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        let (low, high) =
            reader.fetch_watermarks(topic, partition.id(), PATIENCE).expect("watermarks");
        if low < high {
            ends.insert(partition.id(), high);
            all.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("an offset");
        }
    }
    reader.assign(&all).expect("an assignment");
    let mut found = Vec::new();
    while !ends.is_empty() {
        let record = reader.poll(PATIENCE).expect("a record").expect("no error");
        let mut message = Message::tombstone();
        message.payload = record.payload().map(|payload| payload.to_vec().into());
        message.key = record.key().map(|key| key.to_vec().into());
        for header in record.headers().iter().flat_map(|headers| headers.iter()) {
            message.headers.append(header.key, header.value.unwrap_or_default().to_vec());
        }
        found.push((record.timestamp().to_millis(), message));
        if ends.get(&record.partition()).is_some_and(|end| record.offset() + 1 >= *end) {
            ends.remove(&record.partition());
        }
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, message)| message).collect()
}
