//! What a dead letter tells: where it came from, who gave it up, when and why.

use std::{fmt::Write as _, time::SystemTime};

use bytes::Bytes;

use crate::{
    Delivery, Failure, Headers, Message, Origin, Reason,
    delivery::History,
    failure::truncate,
    headers,
    store::{Digest, Key, RecordId, Scope},
};

/// The story of a dead letter, as its headers tell it. `Debug` shows no error text.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Story {
    /// Why it was given up.
    pub reason: Reason,
    /// The kind of the last failure; see [`FailureKind`](crate::FailureKind).
    pub failure_kind: String,
    /// The Rust type of the last error; empty where the framework itself gave the message up.
    pub error_type: String,
    /// Where it was consumed from.
    pub origin: Origin,
    /// The consumer that gave it up.
    pub consumer: String,
    /// Its group.
    pub group: String,
    /// Attempts made.
    pub attempts: u32,
    /// When it failed, and the last error.
    pub history: History,
    /// Its idempotency record, if there was a store and the message had got that far.
    pub record: Option<RecordId>,
    /// The fence under which it was given up.
    pub fence: Option<u64>,
    /// How often it had been redriven before.
    pub redrives: u32,
    /// The payload's length, if the destination refused the whole message.
    pub cut_from: Option<u64>,
}

/// Names that only a dead letter carries.
const STORY: [&str; 12] = [
    headers::REASON,
    headers::FAILURE_KIND,
    headers::ERROR_TYPE,
    headers::CONSUMER,
    headers::GROUP,
    headers::SCOPE,
    headers::DEDUP_KEY,
    headers::FENCE,
    headers::REDRIVES,
    headers::REDRIVEN_FENCE,
    headers::CUT_PAYLOAD_BYTES,
    headers::CUT_PAYLOAD_SHA256,
];

impl Story {
    /// Longest value of one header of the story, the error's text apart, in bytes.
    const MAX_VALUE: usize = 512;
    /// Payload bytes that are kept when a destination refuses the whole.
    const KEPT_PAYLOAD: usize = 4096;
    /// Bytes of the producer's headers that are kept then.
    const KEPT_HEADERS: usize = 4096;

    /// The story of a delivery that its policy gives up.
    pub(crate) fn of(
        delivery: &Delivery,
        reason: Reason,
        failure: &Failure,
        consumer: &str,
        group: &str,
    ) -> Self {
        let now = Some(SystemTime::now());
        let history = History {
            first_failed: delivery.history.first_failed.or(now),
            last_failed: delivery.history.last_failed.or(now),
            last_error: Some(failure.summary()),
        };
        let given_headers = &delivery.message.headers;
        Self {
            reason,
            failure_kind: failure.kind.name().to_owned(),
            error_type: failure.error_type.clone().into_owned(),
            origin: delivery.origin.clone(),
            consumer: consumer.to_owned(),
            group: group.to_owned(),
            attempts: delivery.attempt(),
            history,
            record: delivery.held.as_ref().map(|held| held.id().clone()),
            fence: delivery.fence(),
            redrives: number(given_headers, headers::REDRIVES).unwrap_or_default(),
            cut_from: None,
        }
    }

    /// Reads the story of a dead letter; `None` where a message is not one.
    pub fn read(message: &Message) -> Option<Self> {
        let given = &message.headers;
        let text = |name| given.text(name).unwrap_or_default().to_owned();
        let word = given.text(headers::REASON)?;
        let reason = Reason::ALL.iter().find(|(_, name)| *name == word)?.0;
        let journey = headers::DEAD_LETTER.read(given)?;
        let scope = given.text(headers::SCOPE).and_then(Scope::parse);
        let key = given.first(headers::DEDUP_KEY).cloned().and_then(Key::stored);
        Some(Self {
            reason,
            failure_kind: text(headers::FAILURE_KIND),
            error_type: text(headers::ERROR_TYPE),
            origin: journey.origin,
            consumer: text(headers::CONSUMER),
            group: text(headers::GROUP),
            attempts: journey.attempts,
            history: journey.history,
            record: scope.zip(key).map(|(scope, key)| RecordId::new(scope, key)),
            fence: number(given, headers::FENCE),
            redrives: number(given, headers::REDRIVES).unwrap_or_default(),
            cut_from: number(given, headers::CUT_PAYLOAD_BYTES),
        })
    }

    /// The dead letter: payload, key and headers as they were, and the story.
    pub fn envelope(&self, message: &Message) -> Message {
        let mut letter = message.clone();
        self.write(&mut letter.headers);
        letter
    }

    /// A dead letter of bounded size, for a destination that refuses the whole: the beginning of
    /// the payload with the length and the SHA-256 of all of it, and as many headers as fit.
    pub fn bounded_envelope(&self, message: &Message) -> Message {
        let mut letter = Message::tombstone();
        let mut room = Self::KEPT_HEADERS;
        for (name, value) in message.headers.iter() {
            let size = name.len() + value.len();
            if size <= room {
                room -= size;
                letter.headers.append(name, value.clone());
            }
        }
        letter.key = message.key.clone().filter(|key| key.len() <= Self::KEPT_HEADERS);
        self.cut_payload(letter, message)
    }

    /// As [`Story::bounded_envelope`], without the producer's headers and key, for a destination
    /// that refuses those.
    pub fn bare_envelope(&self, message: &Message) -> Message {
        self.cut_payload(Message::tombstone(), message)
    }

    fn cut_payload(&self, mut letter: Message, message: &Message) -> Message {
        self.write(&mut letter.headers);
        let whole = message.payload.as_ref().map_or(0, Bytes::len);
        letter.headers.append(headers::CUT_PAYLOAD_BYTES, whole.to_string());
        if let Some(payload) = &message.payload {
            let kept = payload.len().min(Self::KEPT_PAYLOAD);
            // A copy, so that the kept bytes do not hold the whole payload in memory.
            letter.payload = Some(Bytes::copy_from_slice(&payload[..kept]));
            let Digest(digest) = Digest::of(Some(payload));
            let mut hex = String::with_capacity(64);
            for byte in digest {
                // Writing to a String does not fail.
                let _ = write!(hex, "{byte:02x}");
            }
            letter.headers.append(headers::CUT_PAYLOAD_SHA256, hex);
        }
        letter
    }

    /// The message as it was before it was given up, to be published again, its count of redrives
    /// raised. `None` if it was cut.
    pub fn original(&self, letter: &Message) -> Option<Message> {
        if self.cut_from.is_some() {
            return None;
        }
        let mut message = letter.clone();
        message.headers.retain(|name| !STORY.contains(&name));
        headers::DEAD_LETTER.remove(&mut message.headers);
        message.headers.append(headers::REDRIVES, (self.redrives + 1).to_string());
        if let Some(fence) = self.fence {
            message.headers.append(headers::REDRIVEN_FENCE, fence.to_string());
        }
        if let Some(id) = &self.origin.message_id {
            message.headers.append(headers::MESSAGE_ID, id.clone());
        }
        Some(message)
    }

    /// The fence of the dead letter that this delivery was: moved back by somebody, or redriven. A
    /// redrive may come between the letter and the end of its record, and then re-arms nothing yet.
    pub(crate) fn fence_of(delivery: &Delivery) -> Option<u64> {
        let given = &delivery.message.headers;
        let name = match given.first(headers::REASON) {
            Some(_) => headers::FENCE,
            None => headers::REDRIVEN_FENCE,
        };
        number(given, name)
    }

    fn write(&self, target: &mut Headers) {
        target.retain(|name| !STORY.contains(&name));
        headers::DEAD_LETTER.write(target, &self.origin, self.attempts, &self.history);
        let mut append = |name: &str, value: &str| {
            let mut value = value.to_owned();
            truncate(&mut value, Self::MAX_VALUE);
            target.append(name, value);
        };
        append(headers::REASON, self.reason.as_str());
        append(headers::FAILURE_KIND, &self.failure_kind);
        if !self.error_type.is_empty() {
            append(headers::ERROR_TYPE, &self.error_type);
        }
        append(headers::CONSUMER, &self.consumer);
        append(headers::GROUP, &self.group);
        if let Some(record) = &self.record {
            append(headers::SCOPE, record.scope.as_str());
        }
        if let Some(fence) = self.fence {
            append(headers::FENCE, &fence.to_string());
        }
        if self.redrives > 0 {
            append(headers::REDRIVES, &self.redrives.to_string());
        }
        if let Some(record) = &self.record {
            target.append(headers::DEDUP_KEY, Bytes::copy_from_slice(record.key.as_bytes()));
        }
    }
}

impl std::fmt::Debug for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Story")
            .field("reason", &self.reason)
            .field("failure_kind", &self.failure_kind)
            .field("error_type", &self.error_type)
            .field("origin", &self.origin)
            .field("consumer", &self.consumer)
            .field("group", &self.group)
            .field("attempts", &self.attempts)
            .field("fence", &self.fence)
            .field("redrives", &self.redrives)
            .finish_non_exhaustive()
    }
}

fn number<N: std::str::FromStr>(headers: &Headers, name: &str) -> Option<N> {
    headers.text(name)?.parse().ok()
}
