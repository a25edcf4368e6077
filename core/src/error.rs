//! How a handler says what went wrong.

use std::{any::type_name, borrow::Cow, error::Error, fmt, time::Duration};

use crate::{Failure, FailureKind, broker::BoxError};

/// A handler's error, classified. The `?` operator turns any error into a transient one; the
/// other classes are said with a word: [`HandlerError::permanent`], or [`Classify`] on a result.
///
/// The error and its sources are kept. `Debug` and `Display` show class and type only, because an
/// error's text may quote the message; the text goes into the record and the dead letter, bounded.
///
/// ```
/// use steadfast::{Classify, HandlerError};
///
/// fn charge(card: &str) -> Result<(), HandlerError> {
///     let number: u64 = card.parse().permanent()?; // will never parse: give up at once
///     std::fs::read("/no/such/file")?; // may pass: retried
///     let _ = number;
///     Ok(())
/// }
/// assert_eq!(charge("x").unwrap_err().kind().name(), "permanent");
/// assert_eq!(charge("1").unwrap_err().kind().name(), "transient");
/// ```
pub struct HandlerError {
    kind: FailureKind,
    error_type: &'static str,
    source: BoxError,
}

impl HandlerError {
    /// May pass by itself: retried by the policy. What `?` makes of an error.
    pub fn transient<E: Into<BoxError>>(error: E) -> Self {
        Self::new(FailureKind::Transient, error)
    }

    /// Trying again is of no use: dead-lettered at once.
    pub fn permanent<E: Into<BoxError>>(error: E) -> Self {
        Self::new(FailureKind::Permanent, error)
    }

    /// The other side asks to be left alone for this long: retried by the policy, but not sooner.
    /// Uses up an attempt.
    pub fn throttled<E: Into<BoxError>>(error: E, not_before: Duration) -> Self {
        Self::new(FailureKind::Throttled(not_before), error)
    }

    /// The named dependency is down. Uses up no attempt: the consumer pauses and probes until it is
    /// back (P8). The name appears in readiness, metrics and logs.
    pub fn unavailable<E: Into<BoxError>>(
        dependency: impl Into<Cow<'static, str>>,
        error: E,
    ) -> Self {
        Self::new(FailureKind::Unavailable(dependency.into()), error)
    }

    /// The class.
    pub fn kind(&self) -> &FailureKind {
        &self.kind
    }

    /// The error that the handler met.
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.source.as_ref()
    }

    fn new<E: Into<BoxError>>(kind: FailureKind, error: E) -> Self {
        Self { kind, error_type: type_name::<E>(), source: error.into() }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::transient(error)
    }
}

impl From<HandlerError> for Failure {
    fn from(error: HandlerError) -> Self {
        Self::from_error(error.kind, error.source.as_ref()).with_type(error.error_type)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerError({}, {})", self.kind.name(), self.error_type)
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failure ({})", self.kind.name(), self.error_type)
    }
}

/// Classifies the error of a result on its way through `?`.
pub trait Classify<T> {
    /// As [`HandlerError::permanent`].
    ///
    /// # Errors
    /// The result's own.
    fn permanent(self) -> Result<T, HandlerError>;

    /// As [`HandlerError::throttled`].
    ///
    /// # Errors
    /// The result's own.
    fn throttled(self, not_before: Duration) -> Result<T, HandlerError>;

    /// As [`HandlerError::unavailable`].
    ///
    /// # Errors
    /// The result's own.
    fn unavailable(self, dependency: impl Into<Cow<'static, str>>) -> Result<T, HandlerError>;
}

impl<T, E: Into<BoxError>> Classify<T> for Result<T, E> {
    fn permanent(self) -> Result<T, HandlerError> {
        self.map_err(HandlerError::permanent)
    }

    fn throttled(self, not_before: Duration) -> Result<T, HandlerError> {
        self.map_err(|error| HandlerError::throttled(error, not_before))
    }

    fn unavailable(self, dependency: impl Into<Cow<'static, str>>) -> Result<T, HandlerError> {
        self.map_err(|error| HandlerError::unavailable(dependency, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_display_shows_the_text() {
        let error = HandlerError::from(std::io::Error::other("card 4711 declined"));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("4711") && shown.contains("io::error::Error"), "{shown}");
        assert!(Failure::from(error).text.contains("4711"));
    }
}
