//! The reserved header names: the same on every broker.
//!
//! What steadfast adds to a retry copy or a dead letter stands under names that begin with
//! [`PREFIX`]; the headers of the producer are never changed. A retry copy carries `source`,
//! `position`, `message-id`, `published-at`, `attempts`, `first-failed`, `last-failed` and `error`
//! under names that begin with `steadfast-retry-`, which a consumer takes away again before a handler
//! sees the message.

use std::time::SystemTime;

use crate::{Headers, Origin, delivery::History, failure::truncate, store::Note};

/// Begins every reserved name.
pub const PREFIX: &str = "steadfast-";

/// The topic or queue that the message was first consumed from.
pub const SOURCE: &str = "steadfast-source";
/// Its position there, as the broker's own tools write it.
pub const POSITION: &str = "steadfast-position";
/// The message id there.
pub const MESSAGE_ID: &str = "steadfast-message-id";
/// When it was published, RFC 3339.
pub const PUBLISHED_AT: &str = "steadfast-published-at";
/// Attempts made.
pub const ATTEMPTS: &str = "steadfast-attempts";
/// When the first attempt failed, RFC 3339.
pub const FIRST_FAILED: &str = "steadfast-first-failed";
/// When the last attempt failed, RFC 3339.
pub const LAST_FAILED: &str = "steadfast-last-failed";
/// The last error: its kind and its text with all causes, bounded.
pub const ERROR: &str = "steadfast-error";

/// Only on dead letters: why the message was given up; see [`Reason`](crate::Reason).
pub const REASON: &str = "steadfast-reason";
/// Only on dead letters: the kind of the last failure.
pub const FAILURE_KIND: &str = "steadfast-failure-kind";
/// Only on dead letters: the Rust type of the last error.
pub const ERROR_TYPE: &str = "steadfast-error-type";
/// Only on dead letters: the consumer's name.
pub const CONSUMER: &str = "steadfast-consumer";
/// Only on dead letters: the consumer group.
pub const GROUP: &str = "steadfast-group";
/// Only on dead letters: the scope of the idempotency record.
pub const SCOPE: &str = "steadfast-scope";
/// Only on dead letters: the dedup key as the record holds it.
pub const DEDUP_KEY: &str = "steadfast-dedup-key";
/// Only on dead letters: the fence under which it was given up.
pub const FENCE: &str = "steadfast-fence";
/// On dead letters and redriven messages: how often it was redriven.
pub const REDRIVES: &str = "steadfast-redrives";
/// On redriven messages: the fence of the dead letter, which allows its record to be re-armed.
pub const REDRIVEN_FENCE: &str = "steadfast-redriven-fence";
/// On redriven messages: which run of a redrive put them back.
pub const REDRIVE_RUN: &str = "steadfast-redrive-run";
/// Only on dead letters whose destination refused the whole message: the payload's length before it
/// was cut, in bytes.
pub const CUT_PAYLOAD_BYTES: &str = "steadfast-cut-payload-bytes";
/// Beside [`CUT_PAYLOAD_BYTES`]: the SHA-256 of the whole payload, in hexadecimal.
pub const CUT_PAYLOAD_SHA256: &str = "steadfast-cut-payload-sha256";

/// The names under which a message carries where it came from and what failed: as a dead letter, or
/// as a retry copy. They differ, because a dead letter can be consumed and retried too.
pub(crate) struct Names {
    source: &'static str,
    position: &'static str,
    message_id: &'static str,
    published_at: &'static str,
    attempts: &'static str,
    first_failed: &'static str,
    last_failed: &'static str,
    error: &'static str,
}

pub(crate) const DEAD_LETTER: Names = Names {
    source: SOURCE,
    position: POSITION,
    message_id: MESSAGE_ID,
    published_at: PUBLISHED_AT,
    attempts: ATTEMPTS,
    first_failed: FIRST_FAILED,
    last_failed: LAST_FAILED,
    error: ERROR,
};

pub(crate) const RETRY_COPY: Names = Names {
    source: "steadfast-retry-source",
    position: "steadfast-retry-position",
    message_id: "steadfast-retry-message-id",
    published_at: "steadfast-retry-published-at",
    attempts: "steadfast-retry-attempts",
    first_failed: "steadfast-retry-first-failed",
    last_failed: "steadfast-retry-last-failed",
    error: "steadfast-retry-error",
};

/// Where a message came from and what failed.
pub(crate) struct Journey {
    pub(crate) origin: Origin,
    pub(crate) attempts: u32,
    pub(crate) history: History,
}

impl Names {
    /// Longest value that is written or believed, the error apart, in bytes.
    const MAX_VALUE: usize = 512;

    pub(crate) fn write(
        &self,
        headers: &mut Headers,
        origin: &Origin,
        attempts: u32,
        history: &History,
    ) {
        self.remove(headers);
        let mut append = |name: &str, value: &str, most: usize| {
            let mut value = value.to_owned();
            truncate(&mut value, most);
            headers.append(name, value);
        };
        append(self.source, &origin.source, Self::MAX_VALUE);
        if let Some(position) = &origin.position {
            append(self.position, position, Self::MAX_VALUE);
        }
        if let Some(id) = &origin.message_id {
            append(self.message_id, id, Self::MAX_VALUE);
        }
        append(self.attempts, &attempts.to_string(), Self::MAX_VALUE);
        if let Some(error) = &history.last_error {
            append(self.error, error, Note::MAX);
        }
        write_time(headers, self.published_at, origin.published_at);
        write_time(headers, self.first_failed, history.first_failed);
        write_time(headers, self.last_failed, history.last_failed);
    }

    pub(crate) fn read(&self, headers: &Headers) -> Option<Journey> {
        let text = |name| {
            let mut text = headers.text(name)?.to_owned();
            truncate(&mut text, Note::MAX);
            Some(text)
        };
        let mut origin = Origin::new(text(self.source)?);
        origin.position = text(self.position);
        origin.message_id = text(self.message_id);
        origin.published_at = read_time(headers, self.published_at);
        let history = History {
            first_failed: read_time(headers, self.first_failed),
            last_failed: read_time(headers, self.last_failed),
            last_error: text(self.error),
        };
        Some(Journey { origin, attempts: headers.text(self.attempts)?.parse().ok()?, history })
    }

    /// Reads and removes.
    pub(crate) fn take(&self, headers: &mut Headers) -> Option<Journey> {
        let journey = self.read(headers)?;
        self.remove(headers);
        Some(journey)
    }

    pub(crate) fn remove(&self, headers: &mut Headers) {
        let names = [
            self.source,
            self.position,
            self.message_id,
            self.published_at,
            self.attempts,
            self.first_failed,
            self.last_failed,
            self.error,
        ];
        headers.retain(|name| !names.contains(&name));
    }
}

/// Takes the id away under which a redriven message was first published.
pub(crate) fn take_redriven_id(headers: &mut Headers) -> Option<String> {
    if headers.first(REASON).is_some() || headers.first(REDRIVES).is_none() {
        return None;
    }
    let id = headers.text(MESSAGE_ID)?.to_owned();
    headers.remove(MESSAGE_ID);
    Some(id)
}

fn write_time(headers: &mut Headers, name: &str, time: Option<SystemTime>) {
    // Times before 1970 or beyond year 9999 cannot be written; no broker gives them.
    const LAST: u64 = 253_402_300_799;
    let fits = |time: &SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since.as_secs() < LAST)
    };
    if let Some(time) = time.filter(fits) {
        headers.append(name, humantime::format_rfc3339_millis(time).to_string());
    }
}

fn read_time(headers: &Headers, name: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(headers.text(name)?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_retry_copy_gives_back_what_it_was_given() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let origin = Origin::new("orders").with_message_id("m1").with_published_at(time);
        let history = History {
            first_failed: Some(time),
            last_failed: Some(time),
            last_error: Some("transient: x".into()),
        };
        let mut headers: Headers = [("a", "1"), ("a", "2")].into_iter().collect();
        RETRY_COPY.write(&mut headers, &origin, 2, &history);
        RETRY_COPY.write(&mut headers, &origin, 3, &history);

        let copy = RETRY_COPY.take(&mut headers).unwrap();
        assert_eq!((copy.origin, copy.attempts, copy.history), (origin, 3, history));
        assert_eq!(headers, [("a", "1"), ("a", "2")].into_iter().collect());
        assert!(RETRY_COPY.take(&mut headers).is_none());
    }
}
