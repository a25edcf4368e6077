//! W3C trace context in message headers.

use std::fmt;

use crate::Headers;

/// The producer's trace and span, as the header `traceparent` carries them (W3C Trace Context,
/// level 1). Dead letters and retries keep the header as it came.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraceContext(String);

impl TraceContext {
    /// The header's name.
    pub const HEADER: &str = "traceparent";

    /// The context in these headers; `None` if there is none, or it is malformed.
    ///
    /// ```
    /// use steadfast::{Headers, TraceContext};
    ///
    /// let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// let headers: Headers = [("traceparent", parent)].into_iter().collect();
    /// let context = TraceContext::read(&headers).unwrap();
    /// assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    /// assert_eq!(context.span_id(), "00f067aa0ba902b7");
    /// ```
    pub fn read(headers: &Headers) -> Option<Self> {
        let text = headers.text(Self::HEADER)?;
        let mut parts = text.split('-');
        let hex = |part: Option<&str>, length| {
            part.is_some_and(|part| {
                let digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
                part.len() == length && part.bytes().all(digit)
            })
        };
        let zero = |range: std::ops::Range<usize>| text[range].bytes().all(|digit| digit == b'0');
        let well_formed = hex(parts.next(), 2)
            && hex(parts.next(), 32)
            && hex(parts.next(), 16)
            && hex(parts.next(), 2)
            && !text.starts_with("ff")
            && (!text.starts_with("00") || text.len() == 55)
            && !zero(3..35)
            && !zero(36..52);
        well_formed.then(|| Self(text[..55].to_owned()))
    }

    /// Puts the context into headers, in place of one that is there.
    pub fn write(&self, headers: &mut Headers) {
        headers.set(Self::HEADER, self.0.clone());
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// 16 hexadecimal digits.
    pub fn span_id(&self) -> &str {
        &self.0[36..52]
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<TraceContext> {
        TraceContext::read(&[(TraceContext::HEADER, text.to_owned())].into_iter().collect())
    }

    #[test]
    fn what_the_standard_calls_invalid_is_no_context() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        assert!(read(&format!("00-{id}-01")).is_some());
        assert!(read(&format!("cc-{id}-01-more")).is_some(), "later versions may be longer");
        assert!(read(&format!("00-{id}-01-more")).is_none());
        assert!(read(&format!("ff-{id}-01")).is_none());
        assert!(read(&format!("00-{}-01", id.to_uppercase())).is_none());
        assert!(read("00-00000000000000000000000000000000-00f067aa0ba902b7-01").is_none());
        assert!(read("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01").is_none());
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in "\\PC*") {
            read(&text);
        }
    }
}
