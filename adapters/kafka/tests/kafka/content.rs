//! What other producers write.

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

use crate::{
    fresh_topic,
    support::{
        quick,
        session::{PATIENCE, Session, text},
        unique,
    },
};

async fn send(settings: &[(&str, &str)], record: FutureRecord<'_, [u8], [u8]>) {
    let mut config = ClientConfig::new();
    settings.iter().for_each(|(name, value)| {
        config.set(*name, *value);
    });
    let producer: FutureProducer = config.create().expect("a producer");
    producer.send(record, PATIENCE).await.expect("it is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_compression_can_be_read() {
    let (servers, topic) = fresh_topic("compressed", 1).await;
    let mut session = Session::open(&quick(&servers), &topic, &unique("group")).await;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let payload = codec.repeat(1000);
        let record = FutureRecord::to(&topic).payload(payload.as_bytes());
        send(&[("bootstrap.servers", &servers), ("compression.codec", codec)], record).await;
        let delivery = session.next().await;
        assert!(text(&delivery.message) == payload, "{codec}");
        session.ack(delivery).await;
    }
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_without_a_value_arrives_empty() {
    let (servers, topic) = fresh_topic("null-header", 1).await;
    let headers = OwnedHeaders::new().insert(Header { key: "absent", value: None::<&[u8]> });
    let record = FutureRecord::to(&topic).payload(&b"m"[..]).headers(headers);
    send(&[("bootstrap.servers", &servers)], record).await;
    let mut session = Session::open(&quick(&servers), &topic, &unique("group")).await;
    let delivery = session.next().await;
    assert_eq!(delivery.message.headers.first("absent").map(|value| value.len()), Some(0));
    session.close().await;
}
