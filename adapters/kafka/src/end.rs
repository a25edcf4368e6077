//! The end of a partition, of which the client tells among its errors, with the offset in words only.
//!
//! Whoever polls has it told to the client's context first, on the same thread, and then gets the error.

use std::cell::Cell;

thread_local! {
    static LAST: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Takes down where the end is.
pub(crate) fn hear(words: &str) {
    LAST.set(offset(words));
}

/// The end of which this thread was last told.
pub(crate) fn last_heard() -> Option<i64> {
    LAST.take()
}

/// "Fetch from broker 1 reached end of partition at offset 42 (HighwaterMark 42)"
fn offset(words: &str) -> Option<i64> {
    let (_, behind) = words.split_once(" at offset ")?;
    behind.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_heard_once() {
        hear("Fetch from broker 1 reached end of partition at offset 42 (HighwaterMark 44)");
        assert_eq!((last_heard(), last_heard()), (Some(42), None));
        hear("at some offset");
        assert_eq!(last_heard(), None);
    }
}
