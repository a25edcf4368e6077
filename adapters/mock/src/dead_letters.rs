//! What lies in a dead letter destination, as sentences.

use bytes::Bytes;
use steadfast::{Message, headers};

/// The dead letters of one destination at the time of asking.
///
/// What its methods say when they panic names reasons, kinds and header names, never contents.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    topic: String,
    messages: Vec<Message>,
}

impl DeadLetters {
    pub(crate) fn new(topic: &str, messages: Vec<Message>) -> Self {
        Self { topic: topic.to_owned(), messages }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// All of them, in the order of publishing.
    pub fn iter(&self) -> impl Iterator<Item = DeadLetter> {
        self.messages.iter().cloned().map(DeadLetter)
    }

    /// Expects that there is none.
    ///
    /// # Panics
    /// When there are some; names their reasons.
    #[track_caller]
    pub fn expect_none(&self) {
        assert!(self.is_empty(), "expected no dead letter, found {}", self.describe());
    }

    /// Expects that there is exactly one.
    ///
    /// # Panics
    /// When there are none or more; names their reasons.
    #[track_caller]
    pub fn expect_one(&self) -> DeadLetter {
        match self.messages.as_slice() {
            [one] => DeadLetter(one.clone()),
            _ => panic!("expected one dead letter, found {}", self.describe()),
        }
    }

    fn describe(&self) -> String {
        let each: Vec<String> = self.iter().map(|letter| letter.describe()).collect();
        format!("{} in `{}`: {}", self.len(), self.topic, each.join("; "))
    }
}

/// One dead letter. Expectations can be chained.
#[derive(Debug, Clone)]
pub struct DeadLetter(Message);

impl DeadLetter {
    /// The message as it lies there, its story in the headers.
    pub fn message(&self) -> &Message {
        &self.0
    }

    /// Expects that it was given up for this reason, as [`Reason`](steadfast::Reason) writes it.
    ///
    /// # Panics
    /// When the reason is another one.
    #[track_caller]
    pub fn with_reason(&self, reason: &str) -> &Self {
        let found = self.text(headers::REASON);
        assert!(found == Some(reason), "expected the reason {reason}, found {}", self.describe());
        self
    }

    /// Expects this payload, byte for byte.
    ///
    /// # Panics
    /// When it differs; says where.
    #[track_caller]
    pub fn with_payload(&self, payload: impl AsRef<[u8]>) -> &Self {
        let payload = payload.as_ref();
        let Some(found) = &self.0.payload else {
            panic!("expected {} bytes of payload, found a tombstone", payload.len());
        };
        let same = found.iter().zip(payload).take_while(|(found, wanted)| found == wanted).count();
        assert!(
            found.as_ref() == payload,
            "expected {} bytes of payload, found {}, which differ from byte {same} on",
            payload.len(),
            found.len(),
        );
        self
    }

    /// Expects a header of this name and value, if need be among others of the name.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn with_header(&self, name: &str, value: impl AsRef<[u8]>) -> &Self {
        let values: Vec<&Bytes> =
            self.0.headers.iter().filter(|(found, _)| *found == name).map(|(_, v)| v).collect();
        let names: Vec<&str> = self.0.headers.iter().map(|(name, _)| name).collect();
        assert!(!values.is_empty(), "expected the header `{name}`, found {names:?}");
        let is_there = values.iter().any(|found| found.as_ref() == value.as_ref());
        assert!(is_there, "the header `{name}` has another value than expected");
        self
    }

    /// Expects that so many attempts were made.
    ///
    /// # Panics
    /// When there were more or fewer.
    #[track_caller]
    pub fn after_attempts(&self, attempts: u32) -> &Self {
        let found = self.text(headers::ATTEMPTS).and_then(|text| text.parse().ok());
        assert!(found == Some(attempts), "expected {attempts} attempts, found {}", self.describe());
        self
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.headers.text(name)
    }

    fn describe(&self) -> String {
        let reason = self.text(headers::REASON).unwrap_or("no reason");
        let kind = self.text(headers::FAILURE_KIND).unwrap_or("no failure kind");
        let attempts = self.text(headers::ATTEMPTS).unwrap_or("an unknown number of");
        format!("{reason} ({kind}) after {attempts} attempts")
    }
}
