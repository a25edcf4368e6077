//! From AMQP.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, ShortString},
};
use steadfast::{Headers, Message};

use super::typed::{Types, shown};
use crate::headers::*;

/// A message as it came.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) message: Message,
    pub(crate) id: Option<String>,
    pub(crate) published_at: Option<SystemTime>,
    /// How often it came back before, where the queue counts.
    pub(crate) returns: Option<u32>,
}

pub(crate) fn incoming(
    properties: &BasicProperties,
    (exchange, routing_key): (&str, &str),
    payload: Bytes,
    key_header: &str,
) -> Incoming {
    let mut headers = Wire::default();
    if let Some(table) = properties.headers() {
        headers.sort(table.inner().iter(), key_header);
    }
    let Wire { ordered, order, key, tombstone, mut types, returns, .. } = headers;
    let mut message = match tombstone && payload.is_empty() {
        true => Message::tombstone(),
        false => Message::new(payload),
    };
    message.key = key;
    message.headers = in_order(ordered, order, &mut types);
    let mut set = |name: &str, value: &Option<ShortString>| {
        if let Some(value) = value {
            message.headers.set(name, value.as_str().to_owned());
        }
    };
    set(CONTENT_TYPE, properties.content_type());
    set(CONTENT_ENCODING, properties.content_encoding());
    set(CORRELATION_ID, properties.correlation_id());
    set(REPLY_TO, properties.reply_to());
    set(TYPE, properties.kind());
    set(APP_ID, properties.app_id());
    set(CLUSTER_ID, properties.cluster_id());
    set(EXPIRATION, properties.expiration());
    set(USER_ID, properties.user_id());
    if let Some(priority) = properties.priority() {
        message.headers.set(PRIORITY, priority.to_string());
    }
    if !exchange.is_empty() {
        message.headers.set(EXCHANGE, exchange.to_owned());
        message.headers.set(ROUTING_KEY, routing_key.to_owned());
    }
    if let Some(types) = types.written() {
        message.headers.set(TYPED, types);
    }
    Incoming {
        message,
        id: properties.message_id().as_ref().map(ToString::to_string),
        published_at: properties
            .timestamp()
            .as_ref()
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(*seconds))),
        returns,
    }
}

/// The headers on the wire, told apart.
#[derive(Default)]
struct Wire<'t> {
    ordered: Vec<(&'t str, &'t AMQPValue)>,
    order: Option<Vec<&'t [u8]>>,
    key: Option<Bytes>,
    tombstone: bool,
    types: Types,
    returns: Option<u32>,
}

impl<'t> Wire<'t> {
    fn sort(
        &mut self,
        table: impl Iterator<Item = (&'t ShortString, &'t AMQPValue)> + Clone,
        key_header: &str,
    ) {
        let waited = table.clone().any(|(name, _)| name.as_str() == WAITED);
        for (name, value) in table {
            let name = name.as_str();
            if name == key_header {
                self.key = Some(shown(value));
            }
            match name {
                KEY if key_header == KEY => {}
                WAITED => {}
                TOMBSTONE => self.tombstone = true,
                ORDER => self.order = names(value),
                _ if is_count(name) => self.returns = self.returns.max(number(value)),
                _ if waited && is_of_death(name) => {}
                _ => match name.strip_prefix(PARKED).unwrap_or(name) {
                    // Never on a wire of ours: a producer's would be taken for what we have seen.
                    TYPED => {}
                    name => self.ordered.push((name, value)),
                },
            }
        }
    }
}

/// Gives headers the order in which they were published; those that are not named in it stand behind.
fn in_order(
    mut found: Vec<(&str, &AMQPValue)>,
    order: Option<Vec<&[u8]>>,
    types: &mut Types,
) -> Headers {
    let mut headers = Headers::new();
    let mut append = |name: &str, value: &AMQPValue| {
        if !matches!(value, AMQPValue::LongString(_)) {
            types.note(name, value);
        }
        headers.append(name, shown(value));
    };
    let Some(order) = order else {
        found.into_iter().for_each(|(name, value)| append(name, value));
        return headers;
    };
    let places: HashMap<&[u8], usize> =
        found.iter().enumerate().map(|(place, (name, _))| (name.as_bytes(), place)).collect();
    let mut times: HashMap<&[u8], usize> = HashMap::new();
    for name in &order {
        *times.entry(name).or_default() += 1;
    }
    let mut given = vec![0; found.len()];
    for wanted in &order {
        let Some(&index) = places.get(wanted) else { continue };
        let (name, value) = found[index];
        match value {
            AMQPValue::FieldArray(values) if times[wanted] > 1 => {
                if let Some(value) = values.as_slice().get(given[index]) {
                    append(name, value);
                }
            }
            _ if given[index] == 0 => append(name, value),
            _ => {}
        }
        given[index] += 1;
    }
    let mut given = given.into_iter();
    found.retain(|_| given.next() == Some(0));
    found.into_iter().for_each(|(name, value)| append(name, value));
    headers
}

fn names(value: &AMQPValue) -> Option<Vec<&[u8]>> {
    let names = value.as_array()?.as_slice().iter();
    Some(names.filter_map(|name| Some(name.as_long_string()?.as_bytes())).collect())
}

fn number(value: &AMQPValue) -> Option<u32> {
    let number = match value {
        AMQPValue::LongLongInt(number) => *number,
        AMQPValue::LongInt(number) => (*number).into(),
        AMQPValue::LongUInt(number) => (*number).into(),
        AMQPValue::ShortInt(number) => (*number).into(),
        AMQPValue::ShortUInt(number) => (*number).into(),
        AMQPValue::ShortShortInt(number) => (*number).into(),
        AMQPValue::ShortShortUInt(number) => (*number).into(),
        _ => return None,
    };
    u32::try_from(number).ok()
}
