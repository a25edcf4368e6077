//! The reserved header names: the same on every broker.
//!
//! What steadfast adds to a retry copy or a dead letter stands under names that begin with
//! [`PREFIX`]; the headers of the producer are never changed. A consumer takes the names of a retry
//! copy away again before a handler sees the message.

use std::time::SystemTime;

use crate::{Headers, Origin, delivery::History};

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
/// Attempts made so far.
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
/// On redriven messages: which run of a redrive put them back.
pub const REDRIVE_RUN: &str = "steadfast-redrive-run";
/// Only on dead letters whose destination refused the whole message: the payload's length before it
/// was cut, in bytes.
pub const CUT_PAYLOAD_BYTES: &str = "steadfast-cut-payload-bytes";
/// Beside [`CUT_PAYLOAD_BYTES`]: the SHA-256 of the whole payload, in hexadecimal.
pub const CUT_PAYLOAD_SHA256: &str = "steadfast-cut-payload-sha256";

/// What a retry copy carries.
const RETRY: [&str; 8] =
    [SOURCE, POSITION, MESSAGE_ID, PUBLISHED_AT, ATTEMPTS, FIRST_FAILED, LAST_FAILED, ERROR];

pub(crate) fn write_retry(
    headers: &mut Headers,
    origin: &Origin,
    attempts: u32,
    history: &History,
) {
    for name in RETRY {
        headers.remove(name);
    }
    headers.append(SOURCE, origin.source.to_string());
    if let Some(position) = &origin.position {
        headers.append(POSITION, position.clone());
    }
    if let Some(id) = &origin.message_id {
        headers.append(MESSAGE_ID, id.clone());
    }
    write_time(headers, PUBLISHED_AT, origin.published_at);
    headers.append(ATTEMPTS, attempts.to_string());
    write_time(headers, FIRST_FAILED, history.first_failed);
    write_time(headers, LAST_FAILED, history.last_failed);
    if let Some(error) = &history.last_error {
        headers.append(ERROR, error.clone());
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

/// What a retry copy said of its original.
pub(crate) struct RetryCopy {
    pub(crate) origin: Origin,
    pub(crate) attempts: u32,
    pub(crate) history: History,
}

/// Takes the names of a retry copy away. `None` where the message is not one: a dead letter, which
/// also carries them, keeps them as its story.
pub(crate) fn take_retry(headers: &mut Headers) -> Option<RetryCopy> {
    if headers.first(REASON).is_some() {
        return None;
    }
    let attempts = headers.text(ATTEMPTS)?.parse().ok()?;
    let mut origin = Origin::new(headers.text(SOURCE)?);
    origin.position = headers.text(POSITION).map(str::to_owned);
    origin.message_id = headers.text(MESSAGE_ID).map(str::to_owned);
    origin.published_at = read_time(headers, PUBLISHED_AT);
    let history = History {
        first_failed: read_time(headers, FIRST_FAILED),
        last_failed: read_time(headers, LAST_FAILED),
        last_error: headers.text(ERROR).map(str::to_owned),
    };
    headers.retain(|name| !RETRY.contains(&name));
    Some(RetryCopy { origin, attempts, history })
}

pub(crate) fn write_time(headers: &mut Headers, name: &str, time: Option<SystemTime>) {
    // Times before 1970 or beyond year 9999 cannot be written; no broker gives them.
    const LAST: u64 = 253_402_300_799;
    let fits = |time: &SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since.as_secs() < LAST)
    };
    if let Some(time) = time.filter(fits) {
        headers.append(name, humantime::format_rfc3339_millis(time).to_string());
    }
}

pub(crate) fn read_time(headers: &Headers, name: &str) -> Option<SystemTime> {
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
        write_retry(&mut headers, &origin, 2, &history);
        write_retry(&mut headers, &origin, 3, &history);

        let copy = take_retry(&mut headers).unwrap();
        assert_eq!((copy.origin, copy.attempts, copy.history), (origin, 3, history));
        assert_eq!(headers, [("a", "1"), ("a", "2")].into_iter().collect());
        assert!(take_retry(&mut headers).is_none());
    }
}
