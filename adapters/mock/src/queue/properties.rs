//! What holds for the queue whatever happens to it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use steadfast::Message;

use super::*;

const HOLD: Time = Time::from_secs(30);
const SESSIONS: u64 = 3;

#[derive(Debug, Clone)]
enum Op {
    Push { key: Option<u8>, delay: u64 },
    HandOut { session: u64, nth: usize },
    Twin { session: u64 },
    Ack { receipt: usize },
    LoseAck { receipt: usize },
    GiveBack { receipt: usize, delay: Option<u64>, counted: bool },
    Extend { receipt: usize },
    Advance { seconds: u64 },
    End { session: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let receipt = 0..64_usize;
    let session = 0..SESSIONS;
    prop_oneof![
        4 => (proptest::option::weighted(0.9, 0..3_u8), prop_oneof![Just(0), 1..60_u64])
            .prop_map(|(key, delay)| Op::Push { key, delay }),
        6 => (session.clone(), prop_oneof![Just(0), 0..4_usize])
            .prop_map(|(session, nth)| Op::HandOut { session, nth }),
        1 => session.clone().prop_map(|session| Op::Twin { session }),
        3 => receipt.clone().prop_map(|receipt| Op::Ack { receipt }),
        1 => receipt.clone().prop_map(|receipt| Op::LoseAck { receipt }),
        2 => (receipt.clone(), proptest::option::of(1..60_u64), any::<bool>())
            .prop_map(|(receipt, delay, counted)| Op::GiveBack { receipt, delay, counted }),
        1 => receipt.prop_map(|receipt| Op::Extend { receipt }),
        2 => (0..40_u64).prop_map(|seconds| Op::Advance { seconds }),
        1 => session.prop_map(|session| Op::End { session }),
    ]
}

/// The queue beside a naive account of what must be true of it.
struct Checked {
    queue: GroupQueue,
    now: Time,
    next_tag: u64,
    pushed: usize,
    acked: Vec<String>,
    /// Every receipt ever given, and whether it is still good.
    receipts: Vec<(u64, u64, bool)>,
    deliveries: BTreeMap<String, u32>,
}

impl Checked {
    fn new(ordered: bool, limit: Option<u32>) -> Self {
        Self {
            queue: GroupQueue::new(ordered, limit),
            now: Time::ZERO,
            next_tag: 0,
            pushed: 0,
            acked: Vec::new(),
            receipts: Vec::new(),
            deliveries: BTreeMap::new(),
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Push { key, delay } => self.push(key, delay),
            Op::HandOut { session, nth } => {
                if let Some(place) = self.deliverable(session, nth) {
                    self.hand_out(session, place);
                }
            }
            Op::Twin { session } if !self.queue.ordered => {
                if let Some(place) = self.deliverable(session, 0) {
                    self.hand_out(session, place);
                    self.pushed += 1;
                    let twin = self.queue.twin(place);
                    self.hand_out(session, twin);
                }
            }
            Op::Twin { .. } => {}
            Op::Ack { receipt } => {
                self.settle(receipt, |queue, session, tag| queue.ack(session, tag))
            }
            Op::LoseAck { receipt } => {
                self.settle(receipt, |queue, session, tag| queue.lose_ack(session, tag));
            }
            Op::GiveBack { receipt, delay, counted } => {
                let until = delay.map(|delay| self.now + Time::from_secs(delay));
                self.settle(receipt, |queue, session, tag| {
                    queue.give_back(session, tag, until, counted)
                });
            }
            Op::Extend { receipt } => {
                let Some(&(session, tag, good)) = self.receipts.get(receipt) else { return };
                let answer = self.queue.extend(session, tag, self.now, (HOLD, Some(HOLD * 3)));
                assert_eq!(answer.is_ok(), good, "extending {tag}");
            }
            Op::Advance { seconds } => {
                self.now += Time::from_secs(seconds);
                let stale = self.queue.advance(self.now);
                self.spoil(|_, tag| stale.contains(&tag));
            }
            Op::End { session } => {
                self.queue.end(session);
                self.spoil(|owner, _| owner == session);
            }
        }
    }

    fn push(&mut self, key: Option<u8>, delay: u64) {
        let name = format!("m{}", self.pushed);
        self.pushed += 1;
        let mut message = Message::new(name.clone());
        message.key = key.map(|key| Bytes::from(vec![key]));
        let stored = Stored { message, id: name.clone(), position: name, published: self.now };
        // What is published is ready at once in ordered mode; only copies are delayed.
        let delay = (delay > 0 && !self.queue.ordered).then(|| self.now + Time::from_secs(delay));
        self.queue.push(Arc::new(stored), delay);
    }

    fn deliverable(&self, session: u64, nth: usize) -> Option<Place> {
        self.queue.deliverable(session).nth(nth)
    }

    fn hand_out(&mut self, session: u64, place: Place) {
        self.assert_in_order(session, place);
        let tag = self.next_tag;
        self.next_tag += 1;
        let twin = place.twin > 0;
        let entry =
            self.queue.hand_out(place, Holding::new(session, tag, self.now, Some(self.now + HOLD)));
        let count =
            self.deliveries.entry(format!("{}~{}", entry.stored.id, place.twin)).or_default();
        *count += 1;
        assert!(twin || entry.deliveries == *count, "the count of {}", entry.stored.id);
        self.receipts.push((session, tag, true));
    }

    /// In ordered mode everything before it in its key is in the same hands, and so is everything
    /// of its key that is out.
    fn assert_in_order(&self, session: u64, place: Place) {
        let key = self.queue.entries[&place].stored.message.key.clone();
        if !self.queue.ordered || key.is_none() {
            return;
        }
        for (other, entry) in self.queue.entries.iter().filter(|(_, e)| e.stored.message.key == key)
        {
            match &entry.phase {
                Phase::Held(holding) => assert_eq!(holding.session, session),
                _ => assert!(*other >= place, "{other:?} waits before {place:?}"),
            }
        }
    }

    fn settle(
        &mut self,
        receipt: usize,
        settle: impl FnOnce(&mut GroupQueue, u64, u64) -> Result<(), Stale>,
    ) {
        let Some(&(session, tag, good)) = self.receipts.get(receipt) else { return };
        let name = self.queue.valid(session, tag).map(|entry| entry.stored.id.clone());
        let before = self.queue.entries.len() + self.queue.taken_away.len();
        let answer = settle(&mut self.queue, session, tag);
        assert_eq!(answer.is_ok(), good, "settling {tag}");
        let after = self.queue.entries.len() + self.queue.taken_away.len();
        if let (Ok(name), true) = (name, after < before) {
            self.acked.push(name);
        }
        self.receipts[receipt].2 = false;
    }

    fn spoil(&mut self, spoilt: impl Fn(u64, u64) -> bool) {
        for (session, tag, good) in &mut self.receipts {
            *good &= !spoilt(*session, *tag);
        }
    }

    fn assert_consistent(&self) {
        let queue = &self.queue;
        let ended = self.acked.len() + queue.taken_away.len();
        assert_eq!(ended + queue.entries.len(), self.pushed, "a message was lost or invented");
        for (place, entry) in &queue.entries {
            let (ready, delayed, held) = match &entry.phase {
                Phase::Ready => (true, false, false),
                Phase::Delayed(until) => (false, queue.delayed.contains(&(*until, *place)), false),
                Phase::Held(h) => (false, false, queue.held.get(&h.tag) == Some(place)),
            };
            assert!(ready || delayed || held);
            assert_eq!(queue.ready.contains(place), ready);
        }
        assert_eq!(queue.backlog() + queue.unsettled(), queue.entries.len());
        let loads: usize = queue.loads.values().map(|load| load.messages).sum();
        assert_eq!(loads, queue.unsettled());
        let lined: usize = queue.lines.values().map(|line| line.places.len()).sum();
        assert!(lined <= queue.entries.len());
        assert!(queue.max_unsettled >= queue.unsettled());
    }

    /// Once nothing goes wrong any more, everything that is left is handed out and acked.
    fn drain(&mut self) {
        (0..SESSIONS).for_each(|session| self.apply(Op::End { session }));
        self.apply(Op::Advance { seconds: 3600 });
        while let Some(place) = self.deliverable(0, 0) {
            self.hand_out(0, place);
            self.apply(Op::Ack { receipt: self.receipts.len() - 1 });
        }
        assert_eq!(self.queue.entries().len(), 0, "something is stuck");
        assert_eq!(self.queue.next_due(), None);
    }
}

proptest! {
    #[test]
    fn no_message_is_lost_and_no_stale_receipt_is_taken(
        ordered in any::<bool>(),
        limit in proptest::option::weighted(0.3, 2..5_u32),
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let mut checked = Checked::new(ordered, limit);
        for op in ops {
            checked.apply(op);
            checked.assert_consistent();
        }
        checked.drain();
        checked.assert_consistent();
    }
}
