//! Positions that no longer exist: the broker has deleted what they pointed at.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// By group, topic and partition.
type Key = (String, String, i32);

/// Committed offsets that were found to be out of range. Shared by all sessions of a broker: the one that
/// finds it out ends by it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LostPositions(Arc<Mutex<HashMap<Key, i64>>>);

impl LostPositions {
    pub(crate) fn note(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.insert(key(group, topic, partition), offset);
    }

    /// Whether this offset was lost. Another one, committed since, is as good as any.
    pub(crate) fn has(&self, group: &str, topic: &str, partition: i32, offset: i64) -> bool {
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(group, topic, partition);
        let is_lost = lost.get(&key) == Some(&offset);
        if !is_lost {
            lost.remove(&key);
        }
        is_lost
    }
}

fn key(group: &str, topic: &str, partition: i32) -> Key {
    (group.to_owned(), topic.to_owned(), partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_position_concerns_one_group_and_one_offset() {
        let lost = LostPositions::default();
        lost.note("billing", "orders", 0, 7);
        assert!(lost.has("billing", "orders", 0, 7));
        assert!(!lost.has("shipping", "orders", 0, 7));
        assert!(!lost.has("billing", "orders", 1, 7));
        assert!(lost.has("billing", "orders", 0, 7), "nobody has committed since");
        assert!(!lost.has("billing", "orders", 0, 9), "somebody has");
        assert!(!lost.has("billing", "orders", 0, 7));
    }
}
