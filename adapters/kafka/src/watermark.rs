//! Which offset of a partition may be committed: the lowest that is not settled.
//!
//! A commit is a watermark, not an ack of one message, so what is settled out of order waits here
//! until everything before it is settled (P12). Offsets have holes (compaction, aborted
//! transactions): only what was received is counted, never the distance between two offsets.

use std::collections::VecDeque;

/// What was received of one partition in one assignment, and what of it is settled.
#[derive(Debug, Default)]
pub(crate) struct Watermark {
    /// What was received, in order, from the lowest unsettled offset on.
    open: VecDeque<Open>,
    /// Behind the newest received offset; `None` before the first.
    next: Option<i64>,
    /// What the broker was last told.
    committed: Option<i64>,
}

#[derive(Debug)]
struct Open {
    offset: i64,
    settled: bool,
}

impl Watermark {
    /// Takes an offset in. False when it, or one behind it, was received before.
    pub(crate) fn receive(&mut self, offset: i64) -> bool {
        if self.next.is_some_and(|next| offset < next) {
            return false;
        }
        self.next = Some(offset + 1);
        self.open.push_back(Open { offset, settled: false });
        true
    }

    /// Passes over offsets up to this one that hold nothing: marks of transactions, and what was aborted.
    pub(crate) fn pass(&mut self, offset: i64) {
        self.next = self.next.max(Some(offset));
    }

    /// Settles an offset for good. Settling twice, or what was never received, changes nothing.
    pub(crate) fn settle(&mut self, offset: i64) {
        if let Ok(place) = self.open.binary_search_by_key(&offset, |open| open.offset) {
            self.open[place].settled = true;
        }
        while self.open.front().is_some_and(|open| open.settled) {
            self.open.pop_front();
        }
    }

    /// The offset to commit, which is where the next owner begins: the lowest unsettled one, or the
    /// one behind all that were received. `None` while nothing was received.
    pub(crate) fn position(&self) -> Option<i64> {
        self.open.front().map(|open| open.offset).or(self.next)
    }

    /// Behind the newest that was received.
    pub(crate) fn next(&self) -> Option<i64> {
        self.next
    }

    /// The offset to commit, if it is not the one that was committed last.
    pub(crate) fn uncommitted(&self) -> Option<i64> {
        self.position().filter(|position| self.committed != Some(*position))
    }

    /// Notes that an offset was committed.
    pub(crate) fn committed(&mut self, offset: i64) {
        self.committed = Some(offset);
    }

    /// How many received messages lie between the watermark and the newest: what is delivered again
    /// after a crash, at most.
    pub(crate) fn span(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_unsettled_message_holds_the_watermark() {
        let mut watermark = Watermark::default();
        for offset in 5..9 {
            assert!(watermark.receive(offset));
        }
        for offset in [5, 6, 8] {
            watermark.settle(offset);
        }
        assert_eq!((watermark.position(), watermark.span()), (Some(7), 2));
        watermark.settle(7);
        assert_eq!((watermark.position(), watermark.span()), (Some(9), 0));
    }

    #[test]
    fn what_was_received_before_is_not_received_again() {
        let mut watermark = Watermark::default();
        assert!(watermark.receive(3) && watermark.receive(7));
        assert!(!watermark.receive(7) && !watermark.receive(4));
        assert_eq!(watermark.span(), 2);
    }

    #[test]
    fn nothing_received_is_nothing_to_commit() {
        let mut watermark = Watermark::default();
        watermark.settle(4);
        assert_eq!(watermark.uncommitted(), None);
    }

    #[test]
    fn a_commit_is_made_once() {
        let mut watermark = Watermark::default();
        watermark.receive(0);
        assert_eq!(watermark.uncommitted(), Some(0));
        watermark.committed(0);
        assert_eq!(watermark.uncommitted(), None);
        watermark.settle(0);
        assert_eq!(watermark.uncommitted(), Some(1));
    }

    #[test]
    fn what_holds_nothing_is_passed_once_everything_before_it_is_settled() {
        let mut watermark = Watermark::default();
        watermark.receive(3);
        watermark.pass(9);
        watermark.pass(5);
        assert_eq!(watermark.position(), Some(3));
        watermark.settle(3);
        assert_eq!(watermark.position(), Some(9));
        assert!(!watermark.receive(8) && watermark.receive(9));
    }

    proptest! {
        /// Against the plainest model: the set of what was received, and the set of what is settled.
        #[test]
        fn the_watermark_never_passes_what_is_unsettled(
            start in 0_i64..1000,
            steps in prop::collection::vec((1_i64..4, any::<bool>(), any::<prop::sample::Index>()), 1..200),
        ) {
            let mut watermark = Watermark::default();
            let (mut unsettled, mut newest) = (BTreeSet::new(), start - 1);
            let mut before = None;
            for (hole, receives, which) in steps {
                if receives || unsettled.is_empty() {
                    newest += hole;
                    prop_assert!(watermark.receive(newest));
                    unsettled.insert(newest);
                } else {
                    let any = *which.get(&unsettled.iter().copied().collect::<Vec<i64>>());
                    unsettled.remove(&any);
                    watermark.settle(any);
                }
                let expected = unsettled.first().copied().unwrap_or(newest + 1);
                prop_assert_eq!(watermark.position(), Some(expected));
                prop_assert!(before <= watermark.position(), "it never goes back");
                before = watermark.position();
            }
        }
    }
}
