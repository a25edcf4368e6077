//! What went wrong with an attempt, in a form that can be kept.

use std::{
    any::Any,
    borrow::Cow,
    error::Error,
    fmt::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// Longest error text that is kept, in bytes.
pub const MAX_ERROR_TEXT: usize = 1024;

/// One failed attempt: its kind, the error's type, and its text with all causes, bounded.
///
/// The text may quote data of the message. It goes into the record and the dead letter, never
/// into logs, spans or `Debug`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// How the policy treats it.
    pub kind: FailureKind,
    /// The Rust type of the error, for logs and spans.
    pub error_type: Cow<'static, str>,
    /// The error and its chain of causes, at most [`MAX_ERROR_TEXT`] bytes.
    pub text: String,
}

/// How the policy treats a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// May pass by itself: retried.
    Transient,
    /// Trying again is of no use: rejected.
    Permanent,
    /// The other side asks not to be called before this time has passed: retried, not sooner.
    Throttled(Duration),
    /// The named dependency is down: not the message's fault, no attempt is used up (P8).
    Unavailable(Cow<'static, str>),
    /// The handler did not end within the timeout: retried.
    TimedOut,
    /// The handler, a codec, a key function or a layer panicked: retried (P11).
    Panicked,
    /// The payload is not what the codec expects: rejected at once (P10).
    Undecodable,
    /// The dedup key belongs to another payload: rejected.
    Conflict,
    /// There is no dedup key: rejected.
    NoDedupKey,
    /// Beyond a limit of the consumer: rejected.
    Oversize,
    /// Claimed more often than the policy allows, without an end: the process died on it.
    Abandoned,
}

impl FailureKind {
    /// One lower-case word for metrics, spans and dead letters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Throttled(_) => "throttled",
            Self::Unavailable(_) => "unavailable",
            Self::TimedOut => "timed_out",
            Self::Panicked => "panicked",
            Self::Undecodable => "undecodable",
            Self::Conflict => "conflict",
            Self::NoDedupKey => "no_dedup_key",
            Self::Oversize => "oversize",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Failure {
    /// A failure described by the framework's own words.
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        let mut text = text.into();
        truncate(&mut text, MAX_ERROR_TEXT);
        Self { error_type: Cow::Borrowed(""), kind, text }
    }

    /// A failure of this kind from an error and its sources. A `Display` that panics is survived
    /// (P11).
    pub fn from_error(kind: FailureKind, error: &(dyn Error + 'static)) -> Self {
        Self { kind, error_type: Cow::Borrowed(""), text: chain(error) }
    }

    /// Names the Rust type of the error.
    #[must_use]
    pub fn with_type(mut self, error_type: impl Into<Cow<'static, str>>) -> Self {
        self.error_type = error_type.into();
        self
    }

    /// Kind and text, as records and dead letters keep them.
    pub fn summary(&self) -> String {
        format!("{}: {}", self.kind.name(), self.text)
    }

    /// A panic, from what [`catch_unwind`] caught.
    pub(crate) fn panicked(place: &str, payload: Box<dyn Any + Send>) -> Self {
        let words = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let failure = Self::new(FailureKind::Panicked, format!("{place} panicked: {words}"));
        drop_safely(payload);
        failure
    }
}

/// Drops a value of the user's, whose destructor may panic.
pub(crate) fn drop_safely<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // Its destructor may panic as well.
        std::mem::forget(payload);
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("kind", &self.kind)
            .field("error_type", &self.error_type)
            .field("text_bytes", &self.text.len())
            .finish()
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    let mut links = 0;
    while let Some(error) = next.take().filter(|_| text.len() < MAX_ERROR_TEXT && links < 32) {
        links += 1;
        let written = catch_unwind(AssertUnwindSafe(|| {
            let mut part = Bounded::default();
            // Fails only when the bound is reached: what fits is kept.
            let _ = write!(part, "{error}");
            (part.0, error.source())
        }));
        if links > 1 {
            text.push_str(": ");
        }
        match written {
            Ok((part, source)) => {
                text.push_str(&part);
                next = source;
            }
            Err(_) => text.push_str("(the error's Display panicked)"),
        }
    }
    truncate(&mut text, MAX_ERROR_TEXT);
    text
}

/// Stops a `Display` that writes without end.
#[derive(Default)]
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_ERROR_TEXT - self.0.len();
        let mut end = room.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.0.push_str(&text[..end]);
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

pub(crate) fn truncate(text: &mut String, max: usize) {
    if text.len() > max {
        let mut end = max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Hostile;
    impl fmt::Display for Hostile {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in Display")
        }
    }
    impl Error for Hostile {}

    #[derive(Debug)]
    struct Endless;
    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                f.write_str("é")?;
            }
        }
    }
    impl Error for Endless {}

    #[test]
    fn a_display_that_panics_is_survived() {
        let failure = Failure::from_error(FailureKind::Transient, &Hostile);
        assert!(failure.text.contains("panicked"));
    }

    #[test]
    fn a_display_without_end_is_bounded() {
        let failure = Failure::from_error(FailureKind::Transient, &Endless);
        assert_eq!(failure.text.len(), MAX_ERROR_TEXT);
    }

    #[test]
    fn the_chain_of_causes_is_kept() {
        let inner = std::io::Error::other("disk full");
        let outer = std::io::Error::other(Wrapped(inner));
        let failure = Failure::from_error(FailureKind::Transient, &outer);
        assert!(failure.text.contains("cannot save") && failure.text.contains("disk full"));
    }

    #[derive(Debug)]
    struct Wrapped(std::io::Error);
    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot save")
        }
    }
    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
}
