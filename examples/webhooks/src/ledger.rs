//! Where effects are written down: append only, without unique keys, so that an effect that happens
//! twice is seen twice.

use std::sync::{Mutex, PoisonError};

/// The number of a message for each effect, in the order in which they happened.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Vec<u64>>);

impl Ledger {
    pub(crate) fn append(&self, number: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(number);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How often each of the first `messages` messages stands in it.
    pub(crate) fn counts(&self, messages: usize) -> Vec<u32> {
        let mut counts = vec![0; messages];
        for number in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let count = usize::try_from(*number).ok().and_then(|number| counts.get_mut(number));
            if let Some(count) = count {
                *count += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_effect_is_not_hidden() {
        let ledger = Ledger::default();
        for number in [2, 0, 2] {
            ledger.append(number);
        }
        assert_eq!(ledger.counts(4), [1, 0, 2, 0]);
        assert_eq!(ledger.len(), 3);
    }
}
