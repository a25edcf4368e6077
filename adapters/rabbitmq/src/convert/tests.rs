use std::time::{Duration, SystemTime};

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString, ShortString},
};
use proptest::prelude::*;
use steadfast::{Headers, Message};

use super::*;
use crate::headers::*;

fn there_and_back(message: &Message) -> Incoming {
    let Outgoing { properties, payload, .. } = outgoing(message, KEY, false).unwrap();
    incoming(&properties, ("", "orders"), payload, KEY)
}

fn table<const N: usize>(fields: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert(ShortString::from(name), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

/// One header of each type that AMQP knows.
fn every_type() -> FieldTable {
    let nested = table([("deep", AMQPValue::LongLongInt(-1)), ("text", text("größer"))]);
    let array = FieldArray::from(vec![text("a"), AMQPValue::Boolean(true), AMQPValue::Void]);
    table([
        ("array", AMQPValue::FieldArray(array)),
        ("boolean", AMQPValue::Boolean(true)),
        ("bytes", AMQPValue::ByteArray(ByteArray::from(vec![0, 255, 254]))),
        ("decimal", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 1234 })),
        ("double", AMQPValue::Double(1.0 / 3.0)),
        ("float", AMQPValue::Float(0.1)),
        ("i16", AMQPValue::ShortInt(-300)),
        ("i32", AMQPValue::LongInt(i32::MIN)),
        ("i64", AMQPValue::LongLongInt(i64::MIN)),
        ("i8", AMQPValue::ShortShortInt(-8)),
        ("not-utf8", AMQPValue::LongString(LongString::from(vec![0xff, 0]))),
        ("table", AMQPValue::FieldTable(nested)),
        ("text", text("1")),
        ("timestamp", AMQPValue::Timestamp(1_700_000_000)),
        ("u16", AMQPValue::ShortUInt(u16::MAX)),
        ("u32", AMQPValue::LongUInt(u32::MAX)),
        ("u8", AMQPValue::ShortShortUInt(8)),
        ("void", AMQPValue::Void),
    ])
}

#[test]
fn headers_of_every_type_come_back_with_their_type() {
    let properties = BasicProperties::default().with_headers(every_type());
    let taken = incoming(&properties, ("", "orders"), Bytes::from_static(b"x"), KEY);
    assert_eq!(taken.message.headers.text("i32"), Some("-2147483648"));
    assert_eq!(taken.message.headers.text("boolean"), Some("true"));
    assert_eq!(taken.message.headers.text("array"), Some(r#"["a",true,null]"#));
    let given = outgoing(&taken.message, KEY, false).unwrap();
    assert_eq!(given.properties.headers().as_ref(), Some(&every_type()));
}

#[test]
fn a_typed_header_that_a_layer_has_changed_is_what_the_layer_made_of_it() {
    let properties = BasicProperties::default().with_headers(table([("n", AMQPValue::LongInt(1))]));
    let mut taken = incoming(&properties, ("", "orders"), Bytes::new(), KEY).message;
    taken.headers.set("n", "two");
    let given = outgoing(&taken, KEY, false).unwrap();
    assert_eq!(given.properties.headers().as_ref(), Some(&table([("n", text("two"))])));
}

#[test]
fn a_type_that_no_server_can_read_is_not_given_back() {
    let name = "n".repeat(256);
    let long = format!(r#"{{"FieldTable":{{"{name}":{{"Boolean":true}}}}}}"#);
    let long_shown = format!(r#"{{"{name}":true}}"#);
    for (typed, shown) in [
        (r#"{"ShortString":"1"}"#, "1"),
        (r#"{"FieldArray":[{"ShortString":"1"}]}"#, r#"["1"]"#),
        (r#"{"FieldTable":{"deep":{"ShortString":"1"}}}"#, r#"{"deep":"1"}"#),
        (long.as_str(), long_shown.as_str()),
    ] {
        serde_json::from_str::<AMQPValue>(typed).expect("the client takes it for a value");
        let message = Message::new("x")
            .with_header("h", shown.to_owned())
            .with_header(TYPED, format!(r#"{{"h":{typed}}}"#));
        let given = outgoing(&message, KEY, false).unwrap();
        assert_eq!(given.properties.headers().as_ref(), Some(&table([("h", text(shown))])));
    }
}

#[test]
fn types_that_a_producer_has_written_are_not_believed() {
    let forged = text(r#"{"h":{"Boolean":true}}"#);
    for name in [TYPED.to_owned(), format!("{PARKED}{TYPED}")] {
        let headers = table([("h", text("true")), (name.as_str(), forged.clone())]);
        let properties = BasicProperties::default().with_headers(headers);
        let taken = incoming(&properties, ("", "orders"), Bytes::new(), KEY).message;
        assert_eq!(taken.headers.first(TYPED), None);
        let given = outgoing(&taken, KEY, false).unwrap();
        assert_eq!(given.properties.headers().as_ref(), Some(&table([("h", text("true"))])));
    }
}

#[test]
fn harmless_properties_are_seen_and_come_back() {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("gzip".into())
        .with_priority(7)
        .with_correlation_id("c".into())
        .with_reply_to("r".into())
        .with_type("placed".into())
        .with_app_id("shop".into())
        .with_cluster_id("x".into());
    let taken = incoming(&properties, ("", "orders"), Bytes::new(), KEY).message;
    assert_eq!(taken.headers.text(CONTENT_TYPE), Some("application/json"));
    let given = outgoing(&taken, KEY, false).unwrap().properties;
    assert_eq!(given.content_type(), properties.content_type());
    assert_eq!(given.content_encoding(), properties.content_encoding());
    assert_eq!(given.priority(), properties.priority());
    assert_eq!(given.correlation_id(), properties.correlation_id());
    assert_eq!(given.reply_to(), properties.reply_to());
    assert_eq!(given.kind(), properties.kind());
    assert_eq!(given.app_id(), properties.app_id());
    assert_eq!(given.cluster_id(), properties.cluster_id());
    assert_eq!(given.headers().as_ref().unwrap().inner().len(), 0);
}

#[test]
fn what_a_broker_would_act_on_again_travels_under_other_names() {
    let cc = AMQPValue::FieldArray(FieldArray::from(vec![text("elsewhere")]));
    let headers = table([("BCC", cc.clone()), ("CC", cc), ("x-death", text("mine"))]);
    let properties = BasicProperties::default()
        .with_expiration("1000".into())
        .with_user_id("somebody".into())
        .with_headers(headers.clone());
    let taken = incoming(&properties, ("ex", "key"), Bytes::new(), KEY).message;
    assert_eq!(taken.headers.text(EXPIRATION), Some("1000"));
    assert_eq!(taken.headers.text("CC"), Some(r#"["elsewhere"]"#));

    let given = outgoing(&taken, KEY, true).unwrap().properties;
    assert_eq!((given.expiration(), given.user_id()), (&None, &None));
    let wire = given.headers().clone().unwrap();
    assert!(["CC", "BCC", "x-death"].iter().all(|name| !wire.contains_key(name)), "{wire:?}");

    // The server writes its own on the way back, which is not the producer's.
    let mut back = wire;
    back.insert("x-death".into(), text("of the waiting queue"));
    back.insert("x-first-death-queue".into(), text("of the waiting queue"));
    let back = BasicProperties::default().with_headers(back);
    let again = incoming(&back, ("", "orders"), Bytes::new(), KEY).message;
    assert_eq!(sorted(&again.headers), sorted(&taken.headers));
}

fn sorted(headers: &Headers) -> Vec<(String, Bytes)> {
    let mut all: Vec<_> = headers.iter().map(|(name, v)| (name.to_owned(), v.clone())).collect();
    all.sort();
    all
}

#[test]
fn counts_of_the_server_are_not_headers() {
    let counted = table([("x-delivery-count", AMQPValue::LongLongInt(3))]);
    let properties = BasicProperties::default().with_headers(counted);
    let taken = incoming(&properties, ("", "orders"), Bytes::new(), KEY);
    assert_eq!((taken.returns, taken.message.headers.is_empty()), (Some(3), true));
}

#[test]
fn a_message_gets_an_id_and_a_time_and_a_copy_keeps_them() {
    let first = there_and_back(&Message::new("x"));
    assert!(first.id.is_some() && first.published_at.is_some());
    assert!(first.message.headers.is_empty());
    let copy = Message::new("x")
        .with_header("steadfast-retry-message-id", "m-1")
        .with_header("steadfast-retry-published-at", "2024-01-01T00:00:00.5Z");
    let copy = there_and_back(&copy);
    assert_eq!(copy.id.as_deref(), Some("m-1"));
    let published = SystemTime::UNIX_EPOCH + Duration::from_secs(1_704_067_200);
    assert_eq!(copy.published_at, Some(published));
}

#[test]
fn a_key_can_stand_in_a_header_of_the_producers() {
    let properties =
        BasicProperties::default().with_headers(table([("customer", AMQPValue::LongInt(7))]));
    let taken = incoming(&properties, ("", "orders"), Bytes::new(), "customer").message;
    assert_eq!(taken.key.as_deref(), Some(b"7".as_slice()));
    let given = outgoing(&taken, "customer", false).unwrap();
    assert_eq!(given.properties.headers(), properties.headers());
}

#[test]
fn a_name_that_amqp_cannot_carry_is_refused() {
    let message = Message::new("x").with_header("n".repeat(256), "x");
    assert!(outgoing(&message, KEY, false).is_err());
    let message = Message::new("x").with_header("n".repeat(255), "x");
    assert!(outgoing(&message, KEY, false).is_ok());
}

proptest! {
    #[test]
    fn any_message_arrives_as_it_was_published(
        payload: Option<Vec<u8>>,
        key: Option<Vec<u8>>,
        headers in prop::collection::vec(("(a|b|CC|x-death|steadfast-(key|tombstone|amqp-(order|waited|parked-a|type|priority))|.{0,9})", any::<Vec<u8>>()), 0..9),
    ) {
        let mut message = Message::default();
        message.payload = payload.map(Into::into);
        message.key = key.map(Into::into);
        // One property has one value.
        for (name, value) in headers {
            match name.starts_with("steadfast-amqp-") {
                true => message.headers.set(name, value),
                false => message.headers.append(name, value),
            }
        }
        let taken = there_and_back(&message).message;
        prop_assert_eq!(&taken.payload, &message.payload);
        prop_assert_eq!(&taken.key, &message.key);
        let is_property = |name: &str| matches!(name, TYPE | PRIORITY);
        let others = |message: &Message| -> Vec<(String, Bytes)> {
            let headers = message.headers.iter().filter(|(name, _)| !is_property(name));
            headers.map(|(name, value)| (name.to_owned(), value.clone())).collect()
        };
        prop_assert_eq!(others(&taken), others(&message));
        let kind = |message: &Message| message.headers.first(TYPE).cloned();
        prop_assert_eq!(kind(&taken), kind(&message));
    }
}

#[test]
fn a_key_travels_in_the_header_that_is_asked_for() {
    let published = |message: &Message| {
        let Outgoing { properties, payload, .. } = outgoing(message, "order-id", false).unwrap();
        incoming(&properties, ("", "orders"), payload, "order-id").message
    };
    let ours = Message::new("x").with_key("7");
    assert_eq!(published(&ours).key, ours.key);
    let mut theirs = ours.clone();
    theirs.headers.append("order-id", "7");
    assert_eq!(published(&theirs), theirs, "a producer's own header stays what it was");
}
