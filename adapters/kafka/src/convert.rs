//! Kafka's records and the messages of the framework.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use rdkafka::{
    Timestamp,
    message::{BorrowedHeaders, BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders},
    producer::FutureRecord,
};
use steadfast::{Delivery, Headers, Message, Origin, Receipt};

/// A record, copied out of the client's buffers: a small one that is held must not pin a large batch.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<SystemTime>,
    /// When the broker took it in, by the broker's own clock: a producer's may be wrong.
    pub(crate) arrived: Option<SystemTime>,
    pub(crate) message: Message,
}

impl Record {
    pub(crate) fn copy(record: &BorrowedMessage<'_>) -> Self {
        let mut message = Message::tombstone();
        (message.key, message.payload) = together(record.key(), record.payload());
        if let Some(found) = record.headers() {
            message.headers = headers(found);
        }
        let millis = record.timestamp().to_millis().and_then(|millis| u64::try_from(millis).ok());
        let timestamp = millis
            .and_then(|millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
        let arrived =
            timestamp.filter(|_| matches!(record.timestamp(), Timestamp::LogAppendTime(_)));
        Self { offset: record.offset(), timestamp, arrived, message }
    }

    /// A delivery of it. Its id are its coordinates, which no other message has.
    pub(crate) fn delivery(&self, topic: &Arc<str>, partition: i32, receipt: Receipt) -> Delivery {
        let position = format!("{partition}@{}", self.offset);
        let mut origin = Origin::new(Arc::clone(topic))
            .with_partition(partition.unsigned_abs())
            .with_message_id([topic, "-", &position].concat())
            .with_position(position);
        origin.published_at = self.timestamp;
        Delivery::new(self.message.clone(), origin, receipt)
    }
}

/// Key and payload in one piece of memory, which a delivery and what is kept of it share.
fn together(key: Option<&[u8]>, payload: Option<&[u8]>) -> (Option<Bytes>, Option<Bytes>) {
    let (first, second) = (key.unwrap_or_default(), payload.unwrap_or_default());
    let both = Bytes::from([first, second].concat());
    (key.map(|_| both.slice(..first.len())), payload.map(|_| both.slice(first.len()..)))
}

/// A header without a value becomes an empty one. The client panics at a name that is not UTF-8: such
/// a header is left out, and said so, since the rest of the record can be read.
fn headers(found: &BorrowedHeaders) -> Headers {
    let mut headers = Headers::new();
    for index in 0..found.count() {
        let read = catch_unwind(AssertUnwindSafe(|| {
            let header = found.get(index);
            (header.key.to_owned(), header.value.unwrap_or_default().to_vec())
        }));
        match read {
            Ok((name, value)) => headers.append(name, value),
            Err(_) => tracing::warn!(index, "a header is left out, because its name is not UTF-8"),
        }
    }
    headers
}

/// What a producer sends.
pub(crate) fn to_record<'a>(
    destination: &'a str,
    message: &'a Message,
) -> FutureRecord<'a, [u8], [u8]> {
    let mut record = FutureRecord::to(destination);
    record.payload = message.payload.as_deref();
    record.key = message.key.as_deref();
    if !message.headers.is_empty() {
        let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
        for (key, value) in message.headers.iter() {
            headers = headers.insert(Header { key, value: Some(&value[..]) });
        }
        record.headers = Some(headers);
    }
    record
}

#[cfg(test)]
mod tests {
    use super::together;

    #[test]
    fn what_is_empty_is_not_what_is_missing() {
        let (empty, some): (Option<&[u8]>, Option<&[u8]>) = (Some(b""), Some(b"some"));
        for (key, payload) in
            [(None, None), (empty, None), (None, some), (some, empty), (some, some)]
        {
            let (found_key, found_payload) = together(key, payload);
            assert_eq!((found_key.as_deref(), found_payload.as_deref()), (key, payload));
        }
    }
}
