//! To AMQP.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString},
};
use steadfast::{Headers, Message, headers::MESSAGE_ID, headers::PUBLISHED_AT};

use super::typed::Types;
use crate::headers::*;

/// A message as it is published.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) properties: BasicProperties,
    pub(crate) payload: Bytes,
    /// Bytes of the properties, headers included: they travel in one frame.
    pub(crate) property_bytes: usize,
}

/// A name that AMQP cannot carry.
#[derive(Debug, thiserror::Error)]
#[error("the name of a header is {0} bytes long, and AMQP carries 255")]
pub(crate) struct TooLarge(usize);

/// `waits`: as a copy that waits for its retry.
pub(crate) fn outgoing(
    message: &Message,
    key_header: &str,
    waits: bool,
) -> Result<Outgoing, TooLarge> {
    let headers = &message.headers;
    let types = headers.first(TYPED).map_or_else(Types::default, |written| Types::read(written));
    let mut wire = Wire { properties: properties(headers), ..Wire::default() };
    for (name, value) in headers.iter() {
        if name == TYPED || wire.takes_property(name, value) {
            continue;
        }
        let value = types
            .value(name, value)
            .unwrap_or_else(|| AMQPValue::LongString(LongString::from(value.to_vec())));
        wire.append(name, value);
    }
    let mut table = wire.table()?;
    // A key that a producer keeps in a header of its own is there already.
    if let Some(key) = &message.key
        && (key_header == KEY || headers.first(key_header).is_none())
    {
        let name = ShortString::try_new(key_header).map_err(|_| TooLarge(key_header.len()))?;
        table.insert(name, AMQPValue::LongString(LongString::from(key.to_vec())));
    }
    let mut mark = |name: &str, value: AMQPValue| {
        table.insert(ShortString::from(name), value);
    };
    if message.payload.is_none() {
        mark(TOMBSTONE, AMQPValue::Boolean(true));
    }
    if waits {
        mark(WAITED, AMQPValue::Boolean(true));
    }
    /// A message id of 255 bytes, a time, a mode, a priority, flags, and what frames them.
    const FIXED: usize = 320;
    /// What the server writes beside them when the message has waited or comes back: counts, and names of
    /// queues. In a frame that it makes too large so, the message could not be read again.
    const SERVERS: usize = 2048;
    let property_bytes = FIXED + SERVERS + wire.property_bytes + bytes_of_table(&table);
    Ok(Outgoing {
        properties: wire.properties.with_headers(table),
        payload: message.payload.clone().unwrap_or_default(),
        property_bytes,
    })
}

/// Every message has an id and a time, and outlives a restart of the server. One that was published
/// before keeps the id and the time that it had.
fn properties(headers: &Headers) -> BasicProperties {
    let text = |names: [&str; 2]| names.into_iter().find_map(|name| headers.text(name));
    let id = text(["steadfast-retry-message-id", MESSAGE_ID])
        .and_then(|id| ShortString::try_new(id).ok())
        .unwrap_or_else(|| uuid::Uuid::new_v4().to_string().into());
    let published = text(["steadfast-retry-published-at", PUBLISHED_AT])
        .and_then(|time| humantime::parse_rfc3339(time).ok())
        .unwrap_or_else(SystemTime::now);
    let since = published.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    const PERSISTENT: u8 = 2;
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id)
        .with_timestamp(since.as_secs())
}

/// The headers on the way to the wire.
#[derive(Default)]
struct Wire {
    properties: BasicProperties,
    /// Of the properties that were headers.
    property_bytes: usize,
    order: Vec<String>,
    values: BTreeMap<String, Vec<AMQPValue>>,
}

impl Wire {
    /// Whether it has become a property.
    fn takes_property(&mut self, name: &str, value: &[u8]) -> bool {
        if !name.starts_with("steadfast-amqp-") {
            return false;
        }
        let Ok(text) = std::str::from_utf8(value) else { return false };
        let Ok(short) = ShortString::try_new(text) else { return false };
        let properties = std::mem::take(&mut self.properties);
        let (properties, taken) = match name {
            CONTENT_TYPE => (properties.with_content_type(short), true),
            CONTENT_ENCODING => (properties.with_content_encoding(short), true),
            CORRELATION_ID => (properties.with_correlation_id(short), true),
            REPLY_TO => (properties.with_reply_to(short), true),
            TYPE => (properties.with_type(short), true),
            APP_ID => (properties.with_app_id(short), true),
            CLUSTER_ID => (properties.with_cluster_id(short), true),
            PRIORITY => match text.parse() {
                Ok(priority) => (properties.with_priority(priority), true),
                Err(_) => (properties, false),
            },
            _ => (properties, false),
        };
        self.properties = properties;
        self.property_bytes += if taken { 1 + text.len() } else { 0 };
        taken
    }

    fn append(&mut self, name: &str, value: AMQPValue) {
        self.order.push(name.to_owned());
        self.values.entry(name.to_owned()).or_default().push(value);
    }

    /// The table, and in it the order where the table's own would be another.
    fn table(&mut self) -> Result<FieldTable, TooLarge> {
        let mut table = FieldTable::default();
        let wire: Vec<String> = self.order.iter().map(|name| on_wire(name)).collect();
        if !wire.is_sorted_by(|one, next| one < next) {
            let names = std::mem::take(&mut self.order);
            let names = names.into_iter().map(|name| AMQPValue::LongString(name.into()));
            let names = FieldArray::from(names.collect::<Vec<_>>());
            table.insert(ShortString::from(ORDER), AMQPValue::FieldArray(names));
        }
        for (name, mut values) in std::mem::take(&mut self.values) {
            let name = on_wire(&name);
            let length = name.len();
            let name = ShortString::try_new(name).map_err(|_| TooLarge(length))?;
            let value = match (values.pop(), values.is_empty()) {
                (Some(only), true) => only,
                (Some(last), false) => {
                    values.push(last);
                    AMQPValue::FieldArray(values.into())
                }
                (None, _) => continue,
            };
            table.insert(name, value);
        }
        Ok(table)
    }
}

/// The name under which a header travels.
fn on_wire(name: &str) -> String {
    let prefix = if is_acted_on(name) || is_of_the_wire(name) { PARKED } else { "" };
    format!("{prefix}{name}")
}

fn bytes_of_table(table: &FieldTable) -> usize {
    let fields = table.inner().iter();
    4 + fields.map(|(name, value)| 1 + name.as_str().len() + bytes_of(value)).sum::<usize>()
}

/// At most; the type's letter is counted.
fn bytes_of(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::LongString(text) => 5 + text.len(),
        AMQPValue::ByteArray(bytes) => 5 + bytes.len(),
        AMQPValue::ShortString(text) => 5 + text.as_str().len(),
        AMQPValue::FieldArray(values) => 5 + values.as_slice().iter().map(bytes_of).sum::<usize>(),
        AMQPValue::FieldTable(table) => 1 + bytes_of_table(table),
        _ => 9,
    }
}
