//! From bytes to the handler's message.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::{Message, broker::BoxError};

/// Decodes payloads. A decoding error sends the message to the dead letters at once, byte for
/// byte (P10); a panic counts as a failed attempt (P11).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decode `{M}`",
    label = "decodes no `{M}`",
    note = "`Json` decodes what serde can deserialize, `Raw` gives the `Message` or its `Bytes`; for \
            another format implement `steadfast::Codec<{M}>`"
)]
pub trait Codec<M>: Send + Sync + 'static {
    /// Decodes one message.
    ///
    /// # Errors
    /// Whatever says why these bytes are not an `M`. The text, bounded, goes into the dead letter.
    fn decode(&self, message: &Message) -> Result<M, BoxError>;
}

/// JSON by serde. A tombstone decodes as `null`, so an `Option` takes it as `None`. Nesting deeper
/// than 128 levels is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl<M: DeserializeOwned> Codec<M> for Json {
    fn decode(&self, message: &Message) -> Result<M, BoxError> {
        let bytes = message.payload.as_deref().unwrap_or(b"null");
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// The message itself, undecoded, or the bytes of its payload. A tombstone, which has none, is given
/// up as undecodable by a handler of `Bytes`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw;

impl Codec<Message> for Raw {
    fn decode(&self, message: &Message) -> Result<Message, BoxError> {
        Ok(message.clone())
    }
}

impl Codec<Bytes> for Raw {
    fn decode(&self, message: &Message) -> Result<Bytes, BoxError> {
        message.payload.clone().ok_or_else(|| "a tombstone has no payload".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_decodes_as_none() {
        let decoded: Option<u8> = Json.decode(&Message::tombstone()).unwrap();
        assert_eq!(decoded, None);
    }

    #[test]
    fn raw_bytes_are_those_of_the_payload() {
        let bytes: Bytes = Raw.decode(&Message::new("ab")).unwrap();
        assert_eq!(bytes, "ab");
        let none: Result<Bytes, _> = Raw.decode(&Message::tombstone());
        assert!(none.is_err());
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_stack_overflow() {
        let bomb = Message::new("[".repeat(100_000));
        let decoded: Result<serde_json::Value, _> = Json.decode(&bomb);
        assert!(decoded.is_err());
    }
}
