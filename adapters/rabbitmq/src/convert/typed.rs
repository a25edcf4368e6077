//! Header values that are no strings.

use bytes::Bytes;
use lapin::types::AMQPValue;
use serde_json::{Map, Value};

/// A value as text: what a handler sees of it.
pub(super) fn shown(value: &AMQPValue) -> Bytes {
    match value {
        AMQPValue::LongString(text) => Bytes::copy_from_slice(text.as_bytes()),
        AMQPValue::ByteArray(bytes) => Bytes::copy_from_slice(bytes.as_slice()),
        AMQPValue::ShortString(text) => Bytes::copy_from_slice(text.as_str().as_bytes()),
        AMQPValue::Void => Bytes::new(),
        other => match json(other) {
            Value::String(text) => text.into(),
            json => json.to_string().into(),
        },
    }
}

fn json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => (*value).into(),
        AMQPValue::ShortShortInt(value) => (*value).into(),
        AMQPValue::ShortShortUInt(value) => (*value).into(),
        AMQPValue::ShortInt(value) => (*value).into(),
        AMQPValue::ShortUInt(value) => (*value).into(),
        AMQPValue::LongInt(value) => (*value).into(),
        AMQPValue::LongUInt(value) => (*value).into(),
        AMQPValue::LongLongInt(value) => (*value).into(),
        AMQPValue::Timestamp(seconds) => (*seconds).into(),
        AMQPValue::Float(value) => value.to_string().into(),
        AMQPValue::Double(value) => value.to_string().into(),
        AMQPValue::DecimalValue(decimal) => format!("{}e-{}", decimal.value, decimal.scale).into(),
        AMQPValue::ShortString(text) => text.as_str().into(),
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into(),
        AMQPValue::ByteArray(bytes) => bytes.as_slice().into(),
        AMQPValue::Void => Value::Null,
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(json).collect(),
        AMQPValue::FieldTable(table) => {
            let fields = table.inner().iter();
            Value::Object(fields.map(|(name, value)| (name.to_string(), json(value))).collect())
        }
    }
}

/// The types of headers that are no strings.
#[derive(Default)]
pub(super) struct Types(Map<String, Value>);

impl Types {
    /// Notes the type of a header.
    pub(super) fn note(&mut self, name: &str, value: &AMQPValue) {
        // What JSON cannot hold, as a float without an end, stays a string.
        if let Ok(typed) = serde_json::to_value(value)
            && serde_json::from_value(typed.clone()).is_ok_and(|again: AMQPValue| again == *value)
        {
            self.0.insert(name.to_owned(), typed);
        }
    }

    pub(super) fn written(self) -> Option<String> {
        (!self.0.is_empty()).then(|| Value::Object(self.0).to_string())
    }

    pub(super) fn read(written: &[u8]) -> Self {
        Self(serde_json::from_slice(written).unwrap_or_default())
    }

    /// The value that the header had, if this is still its text.
    pub(super) fn value(&self, name: &str, text: &[u8]) -> Option<AMQPValue> {
        let value = serde_json::from_value(self.0.get(name)?.clone()).ok()?;
        (travels(&value) && shown(&value) == text).then_some(value)
    }
}

/// Whether a server can read it. What was noted here has come from one, but it has been a header since, and
/// over a value that it cannot read a server closes the connection.
fn travels(value: &AMQPValue) -> bool {
    match value {
        // Tables have no letter for it.
        AMQPValue::ShortString(_) => false,
        AMQPValue::FieldArray(values) => values.as_slice().iter().all(travels),
        AMQPValue::FieldTable(table) => {
            table.inner().iter().all(|(name, value)| name.as_str().len() <= 255 && travels(value))
        }
        _ => true,
    }
}
