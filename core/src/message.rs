//! What was published: payload, key and headers.

use std::fmt;

use bytes::Bytes;

/// A message as its producer published it.
///
/// An absent payload (a tombstone, on brokers that have them) is not an empty one.
/// `Debug` shows sizes, never contents.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The bytes that the handler's codec decodes; `None` is a tombstone.
    pub payload: Option<Bytes>,
    /// What the broker orders or partitions by.
    pub key: Option<Bytes>,
    /// Metadata beside the payload.
    pub headers: Headers,
}

impl Message {
    /// A message with this payload, no key and no headers.
    ///
    /// ```
    /// use steadfast::Message;
    ///
    /// let message = Message::new("{}").with_key("order-7").with_header("trace", "on");
    /// assert_eq!(message.size(), 2 + 7 + 5 + 2);
    /// ```
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self { payload: Some(payload.into()), ..Self::default() }
    }

    /// A message without a payload.
    pub fn tombstone() -> Self {
        Self::default()
    }

    /// Sets the key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Appends a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Bytes of payload, key and headers together: what the byte bound of a consumer counts.
    pub fn size(&self) -> usize {
        self.payload.as_ref().map_or(0, Bytes::len)
            + self.key.as_ref().map_or(0, Bytes::len)
            + self.headers.size()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("payload_bytes", &self.payload.as_ref().map(Bytes::len))
            .field("key_bytes", &self.key.as_ref().map(Bytes::len))
            .field("headers", &self.headers)
            .finish()
    }
}

/// Headers in the order in which they were published, repeated names included.
///
/// Names are compared exactly, as the brokers do. `Debug` shows names, never values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Bytes)>);

impl Headers {
    /// No headers; allocates nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a header behind all others, keeping those of the same name.
    pub fn append(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// Replaces all headers of this name by one.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        let name = name.into();
        self.remove(&name);
        self.0.push((name, value.into()));
    }

    /// Removes all headers of this name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(found, _)| found != name);
    }

    /// Keeps the headers whose name satisfies `keep`.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    /// The value of the first header of this name.
    pub fn first(&self, name: &str) -> Option<&Bytes> {
        self.iter().find_map(|(found, value)| (found == name).then_some(value))
    }

    /// The value of the first header of this name, if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.first(name)?).ok()
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

impl<N: Into<String>, V: Into<Bytes>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(headers: T) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_order_and_repeated_names() {
        let mut headers: Headers = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        assert_eq!(headers.first("a").unwrap(), "1");
        assert_eq!(headers.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "a"]);
        headers.set("a", "4");
        assert_eq!(headers.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn debug_never_shows_contents() {
        let message = Message::new("s3cret").with_key("s3cret").with_header("token", "s3cret");
        let shown = format!("{message:?}");
        assert!(!shown.contains("s3cret") && shown.contains("token"), "{shown}");
    }

    #[test]
    fn a_tombstone_is_not_an_empty_payload() {
        assert_ne!(Message::tombstone(), Message::new(""));
    }
}
