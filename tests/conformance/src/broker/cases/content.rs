//! Bytes, keys and headers arrive as they were published.
//!
//! What a broker cannot carry as it is, its publisher must carry otherwise, or refuse. A message that
//! was confirmed arrives intact.

use bytes::Bytes;
use steadfast::{
    Message,
    broker::{PublishError, Settlement},
    headers,
};

use crate::broker::{BrokerHarness, Proof, Topic, verdict::NotProved};

pub async fn any_bytes_of_payload_arrive(harness: &dyn BrokerHarness) -> Proof {
    let every_byte: Vec<u8> = (0..=255).collect();
    let payloads: [&[u8]; 4] = [&every_byte, b"\0", b"\xff\xfe not text", "größer ≠ 大".as_bytes()];
    let messages = payloads.map(|payload| Message::new(payload.to_vec()).with_key("k"));
    arrive_intact(harness, "payload", messages).await
}

pub async fn an_empty_payload_arrives_empty(harness: &dyn BrokerHarness) -> Proof {
    arrive_intact(harness, "empty", [Message::new("").with_key("k")]).await
}

pub async fn a_tombstone_arrives_as_a_tombstone(harness: &dyn BrokerHarness) -> Proof {
    arrive_intact(harness, "tombstone", [Message::tombstone().with_key("k")]).await
}

pub async fn a_large_payload_arrives_whole(harness: &dyn BrokerHarness) -> Proof {
    const LARGE: usize = 150_000;
    let topic = Topic::fresh(harness, "most-bytes").await;
    let most = topic.capabilities().await.max_message_bytes.unwrap_or(LARGE);
    let bytes: Vec<u8> = (0..most.min(LARGE)).map(|n| (n * 31 % 251) as u8).collect();
    arrive_intact(harness, "large", [Message::new(bytes)]).await
}

pub async fn a_key_arrives(harness: &dyn BrokerHarness) -> Proof {
    let keys = ["order-7", "Größe 大", "a/b?c=d&e f"];
    arrive_intact(harness, "key", keys.map(|key| Message::new("m").with_key(key))).await
}

pub async fn a_key_of_any_bytes_arrives(harness: &dyn BrokerHarness) -> Proof {
    let key = Bytes::from_static(b"\x00\xff\xfe\x80");
    arrive_intact(harness, "binary-key", [Message::new("m").with_key(key)]).await
}

pub async fn an_absent_key_is_not_an_empty_one(harness: &dyn BrokerHarness) -> Proof {
    let messages = [Message::new("absent"), Message::new("empty").with_key("")];
    arrive_intact(harness, "no-key", messages).await
}

pub async fn a_message_without_headers_arrives_without_any(harness: &dyn BrokerHarness) -> Proof {
    arrive_intact(harness, "no-headers", [Message::new("m").with_key("k")]).await
}

pub async fn headers_arrive_in_their_order(harness: &dyn BrokerHarness) -> Proof {
    let headers = [("zulu", "1"), ("alpha", "2"), ("Mike", "3"), ("bravo", "4"), ("mike", "5")];
    arrive_intact(harness, "header-order", [with_headers(headers)]).await
}

pub async fn repeated_headers_all_arrive(harness: &dyn BrokerHarness) -> Proof {
    let headers = [("a", "1"), ("b", "2"), ("a", "3"), ("a", "1")];
    arrive_intact(harness, "repeated-headers", [with_headers(headers)]).await
}

pub async fn header_values_of_any_bytes_arrive(harness: &dyn BrokerHarness) -> Proof {
    let every_byte: Vec<u8> = (0..=255).collect();
    let message = Message::new("m")
        .with_header("every", every_byte)
        .with_header("number", "0042")
        .with_header("truth", "true")
        .with_header("spaces", " a  b ");
    arrive_intact(harness, "header-bytes", [message]).await
}

pub async fn an_empty_header_value_arrives(harness: &dyn BrokerHarness) -> Proof {
    arrive_intact(harness, "empty-header", [with_headers([("a", ""), ("b", "2")])]).await
}

pub async fn headers_beyond_ascii_arrive(harness: &dyn BrokerHarness) -> Proof {
    let headers = [("größe", "大きい"), ("emoji 🦀", "\u{0}\u{feff}x"), ("a.b-c_d/e", "!")];
    arrive_intact(harness, "unicode-headers", [with_headers(headers)]).await
}

pub async fn many_headers_arrive(harness: &dyn BrokerHarness) -> Proof {
    let headers = (0..100).map(|number| (format!("h{number}"), format!("value {number}")));
    let mut message = Message::new("m");
    message.headers = headers.collect();
    arrive_intact(harness, "many-headers", [message]).await
}

/// A copy that waited for a delay says under reserved names what it is a copy of; the rest of it is
/// as it was.
pub async fn content_is_the_same_in_every_delivery(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "again").await;
    let mut session = topic.session().await;
    let mut message = with_headers([("b", "1"), ("a", "2"), ("b", "3")]).with_key("k");
    message.payload = Some(Bytes::from_static(b"\xff\x00"));
    topic.publish_message(message.clone()).await;
    let delay = topic.delay();
    let settlements = [
        Settlement::Release,
        Settlement::Requeue { delay, counted: true },
        Settlement::Requeue { delay, counted: false },
    ];
    for settlement in settlements {
        let delivery = session.next().await;
        session.settle(delivery, settlement).await;
        let mut again = session.next().await;
        again.message.headers.retain(|name| !name.starts_with(headers::PREFIX));
        assert_same(&again.message, &message, &format!("after {settlement:?}"));
        session.release(again).await;
    }
    let delivery = session.next().await;
    session.ack(delivery).await;
    session.close().await;
    Ok(())
}

fn with_headers<const N: usize>(headers: [(&str, &'static str); N]) -> Message {
    let mut message = Message::new("m").with_key("k");
    message.headers = headers.into_iter().collect();
    message
}

async fn arrive_intact<const N: usize>(
    harness: &dyn BrokerHarness,
    hint: &str,
    messages: [Message; N],
) -> Proof {
    let topic = Topic::fresh(harness, hint).await;
    let mut session = topic.session().await;
    let mut refused = None;
    for message in messages {
        match topic.try_publish(message.clone()).await {
            Ok(()) => {
                let delivery = session.next().await;
                assert_same(&delivery.message, &message, "a message arrives as it was published");
                session.ack(delivery).await;
            }
            Err(PublishError::Refused(error)) => refused = Some(error),
            Err(error) => panic!("the harness cannot publish: {error}"),
        }
    }
    session.close().await;
    match refused {
        Some(error) => NotProved::because(format!("the publisher refuses it: {error}")),
        None => Ok(()),
    }
}

fn assert_same(found: &Message, published: &Message, when: &str) {
    let headers = |message: &Message| -> Vec<(String, Bytes)> {
        message.headers.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    };
    assert_eq!(found.payload, published.payload, "the payload, {when}");
    assert_eq!(found.key, published.key, "the key, {when}");
    assert_eq!(headers(found), headers(published), "the headers, {when}");
}
