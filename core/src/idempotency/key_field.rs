//! Which fields of a message can be a dedup key.

use std::fmt::Display;

use bytes::Bytes;

/// A field that can be a dedup key: anything that can be displayed, such as a string, a number or a
/// UUID.
///
/// ```
/// use steadfast::KeyField;
///
/// assert_eq!("A1".to_key(), "A1");
/// assert_eq!(17.to_key(), "17");
/// ```
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be a dedup key",
    label = "cannot be displayed",
    note = "name a field that implements `Display`, or a function from the message to its key: \
            `dedup_key = key_of`"
)]
pub trait KeyField {
    /// The key.
    fn to_key(&self) -> Bytes;
}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> KeyField for T {
    fn to_key(&self) -> Bytes {
        self.to_string().into()
    }
}
