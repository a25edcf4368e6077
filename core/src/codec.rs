//! From bytes to the handler's message.

use serde::de::DeserializeOwned;

use crate::{Message, broker::BoxError};

/// Decodes payloads. A decoding error sends the message to the dead letters at once, byte for
/// byte (P10); a panic counts as a failed attempt (P11).
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

/// The message itself, undecoded, for handlers that want bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw;

impl Codec<Message> for Raw {
    fn decode(&self, message: &Message) -> Result<Message, BoxError> {
        Ok(message.clone())
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
    fn deep_nesting_is_an_error_not_a_stack_overflow() {
        let bomb = Message::new("[".repeat(100_000));
        let decoded: Result<serde_json::Value, _> = Json.decode(&bomb);
        assert!(decoded.is_err());
    }
}
