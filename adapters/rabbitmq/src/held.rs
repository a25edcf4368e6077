//! What a session has been sent and has not settled.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use steadfast::broker::Demand;
use tokio::sync::{Notify, futures::Notified};

use crate::convert::Incoming;

/// The deliveries of a session. A broker's tag counts deliveries on the channel; a receipt's tag
/// counts what was handed to the consumer, and is never used twice.
#[derive(Default)]
pub(crate) struct Held {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Sent ahead, not yet handed out, by the broker's tag.
    ready: BTreeMap<u64, Ready>,
    /// Handed out, by the receipt's tag.
    out: HashMap<u64, Out>,
    /// Those whose copies are on their way: consumer and bytes, by the receipt's tag.
    copied: HashMap<u64, (u32, usize)>,
    last_receipt: u64,
    stopped: bool,
    over: Option<Over>,
    handed_out: bool,
    /// The AMQP consumers of the session by number, and how many deliveries of each the server lets
    /// be unsettled.
    open: BTreeMap<u32, usize>,
    /// Whether some may be held that came by a consumer which is closed.
    has_left_over: bool,
}

/// A delivery that waits to be handed out.
struct Ready {
    by: u32,
    incoming: Incoming,
}

/// A delivery in the consumer's hands.
pub(crate) struct Out {
    pub(crate) tag: u64,
    /// The number of the AMQP consumer that it came by.
    by: u32,
    bytes: usize,
    /// In an ordered session, to take its place again.
    kept: Option<Incoming>,
}

/// Why a session is over.
#[derive(Debug, Clone)]
pub(crate) enum Over {
    Lost(String),
    /// Another session would end the same way.
    Refused(String),
}

/// What a receive finds.
pub(crate) enum Found {
    /// Receipt, broker's tag, message.
    Deliveries(Vec<(u64, u64, Incoming)>),
    Nothing,
    Stopped,
    Over(Over),
}

impl Held {
    /// A delivery has come by the AMQP consumer of this number.
    pub(crate) fn arrive(&self, by: u32, tag: u64, incoming: Incoming) {
        let mut state = self.lock();
        if state.over.is_some() {
            return;
        }
        state.ready.insert(tag, Ready { by, incoming });
        drop(state);
        self.changed.notify_waiters();
    }

    /// Hands out, in the order of the queue. `keep`: as an ordered session does.
    pub(crate) fn hand_out(&self, demand: Demand, keep: bool) -> Found {
        let mut state = self.lock();
        if let Some(over) = &state.over {
            return Found::Over(over.clone());
        }
        if state.stopped {
            return Found::Stopped;
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < demand.messages && bytes < demand.bytes {
            let Some((tag, Ready { by, incoming })) = state.ready.pop_first() else { break };
            let size = incoming.message.size();
            bytes += size;
            state.last_receipt += 1;
            let receipt = state.last_receipt;
            let kept = keep.then(|| incoming.clone());
            state.handed_out |= state.open.contains_key(&by);
            state.out.insert(receipt, Out { tag, by, bytes: size, kept });
            taken.push((receipt, tag, incoming));
        }
        if taken.is_empty() {
            return Found::Nothing;
        }
        Found::Deliveries(taken)
    }

    /// Takes a delivery out of the consumer's hands; `None` if it is not there.
    pub(crate) fn take(&self, receipt: u64) -> Option<Out> {
        let mut state = self.lock();
        if state.over.is_some() {
            return None;
        }
        let out = state.out.remove(&receipt)?;
        drop(state);
        self.changed.notify_waiters();
        Some(out)
    }

    /// A copy of this delivery is on its way: it is unsettled until then.
    pub(crate) fn is_being_copied(&self, receipt: u64, out: &Out) {
        let mut state = self.lock();
        state.has_left_over |= !state.open.contains_key(&out.by);
        state.copied.insert(receipt, (out.by, out.bytes));
    }

    /// Its copy has arrived.
    pub(crate) fn is_copied(&self, receipt: u64) {
        self.lock().copied.remove(&receipt);
        self.changed.notify_waiters();
    }

    /// Puts a delivery back into the consumer's hands.
    pub(crate) fn put_back(&self, receipt: u64, out: Out) {
        let mut state = self.lock();
        state.copied.remove(&receipt);
        if state.over.is_some() {
            return;
        }
        state.has_left_over |= !state.open.contains_key(&out.by);
        state.out.insert(receipt, out);
    }

    /// Puts a delivery of an ordered session into its place in the line.
    pub(crate) fn line_up(&self, out: Out) {
        if let Some(incoming) = out.kept {
            self.arrive(out.by, out.tag, incoming);
        }
    }

    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_waiters();
    }

    /// The broker's tags of what was not handed out, in order; they are forgotten.
    pub(crate) fn take_ready(&self) -> Vec<u64> {
        std::mem::take(&mut self.lock().ready).into_keys().collect()
    }

    /// The session is over; every receipt is stale.
    pub(crate) fn end(&self, reason: impl Into<String>) {
        self.end_as(Over::Lost(reason.into()));
    }

    /// The session is over, and there is none to be had.
    pub(crate) fn refuse(&self, reason: impl Into<String>) {
        self.end_as(Over::Refused(reason.into()));
    }

    fn end_as(&self, over: Over) {
        let mut state = self.lock();
        state.over.get_or_insert(over);
        state.ready.clear();
        state.out.clear();
        state.copied.clear();
        drop(state);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().over.is_some()
    }

    pub(crate) fn ready(&self) -> usize {
        self.lock().ready.len()
    }

    /// The server lets so many deliveries of this AMQP consumer be unsettled.
    pub(crate) fn opens(&self, consumer: u32, prefetch: usize) {
        self.lock().open.insert(consumer, prefetch);
    }

    /// The server sends this AMQP consumer nothing more.
    pub(crate) fn closes(&self, consumer: u32) {
        let mut state = self.lock();
        state.open.remove(&consumer);
        state.has_left_over = true;
        // The next one may have to stand by.
        state.handed_out &= !state.open.is_empty();
    }

    /// Whether the server may send one more.
    pub(crate) fn is_open(&self) -> bool {
        let state = self.lock();
        let held_of = |consumer| state.unsettled().filter(|(by, _)| *by == consumer).count();
        state.open.iter().any(|(consumer, prefetch)| held_of(*consumer) < *prefetch)
    }

    /// Whether there may be some that AMQP consumers have left which are closed.
    pub(crate) fn has_left_over(&self) -> bool {
        self.lock().has_left_over
    }

    /// Messages and bytes that AMQP consumers have left which are closed: no prefetch bounds them.
    pub(crate) fn left_over(&self) -> (usize, usize) {
        let mut state = self.lock();
        if !state.has_left_over {
            return (0, 0);
        }
        let left = state.unsettled().filter(|(by, _)| !state.open.contains_key(by));
        let left = left.fold((0, 0), |(messages, all), (_, bytes)| (messages + 1, all + bytes));
        state.has_left_over = left.0 > 0;
        left
    }

    pub(crate) fn has_handed_out(&self) -> bool {
        self.lock().handed_out
    }

    /// Rings at the next change; make it before you look.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Of each delivery the number of its AMQP consumer, and its size.
    fn unsettled(&self) -> impl Iterator<Item = (u32, usize)> {
        let ready = self.ready.values().map(|ready| (ready.by, ready.incoming.message.size()));
        let out = self.out.values().map(|out| (out.by, out.bytes));
        ready.chain(out).chain(self.copied.values().copied())
    }
}

#[cfg(test)]
mod tests {
    use steadfast::Message;

    use super::*;

    fn incoming(text: &'static str) -> Incoming {
        Incoming { message: Message::new(text), id: None, published_at: None, returns: None }
    }

    fn texts(found: Found) -> Vec<(u64, String)> {
        let Found::Deliveries(found) = found else { return Vec::new() };
        let text = |incoming: Incoming| incoming.message.payload.unwrap_or_default().to_vec();
        let text = |incoming| String::from_utf8(text(incoming)).unwrap();
        found.into_iter().map(|(receipt, _, incoming)| (receipt, text(incoming))).collect()
    }

    #[test]
    fn what_lines_up_again_stands_before_what_came_after_it() {
        let held = Held::default();
        for (tag, text) in [(1, "a"), (2, "b"), (3, "c")] {
            held.arrive(1, tag, incoming(text));
        }
        let first = texts(held.hand_out(Demand::new(2, 100), true));
        let [(one, _), (two, _)] = [first[0].clone(), first[1].clone()];
        held.line_up(held.take(two).unwrap());
        held.line_up(held.take(one).unwrap());
        let again = texts(held.hand_out(Demand::new(9, 100), true));
        assert_eq!(again, [(3, "a".into()), (4, "b".into()), (5, "c".into())]);
        assert!(held.take(one).is_none(), "an earlier receipt is stale");
        held.closes(1);
        assert_eq!(held.left_over(), (3, 3));
    }

    #[test]
    fn the_server_sends_no_more_than_one_prefetch_to_each_consumer() {
        let held = Held::default();
        assert!(!held.is_open(), "nobody consumes yet");
        held.opens(1, 1);
        assert!(held.is_open());
        held.arrive(1, 1, incoming("a"));
        assert!(!held.is_open());
        held.opens(2, 1);
        assert!(held.is_open(), "another consumer counts anew, whatever is held");
        held.arrive(2, 2, incoming("b"));
        let found = texts(held.hand_out(Demand::new(9, 9), false));
        assert!(!held.is_open(), "what is handed out counts");
        assert_eq!(held.left_over(), (0, 0));
        held.closes(1);
        assert_eq!(held.left_over(), (1, 1), "what a closed consumer has left");
        held.take(found[0].0).unwrap();
        assert_eq!(held.left_over(), (0, 0));
        assert!(!held.is_open(), "a closed consumer is sent nothing");
        held.take(found[1].0).unwrap();
        assert!(held.is_open());
    }

    #[test]
    fn what_is_being_copied_is_held_until_its_copy_has_arrived() {
        let held = Held::default();
        held.opens(1, 2);
        for (tag, text) in [(1, "a"), (2, "b")] {
            held.arrive(1, tag, incoming(text));
        }
        let found = texts(held.hand_out(Demand::new(9, 9), false));
        let [one, two] = [found[0].0, found[1].0].map(|receipt| {
            let out = held.take(receipt).unwrap();
            held.is_being_copied(receipt, &out);
            (receipt, out)
        });
        assert!(!held.is_open(), "the server counts both");
        held.closes(1);
        assert_eq!(held.left_over(), (2, 2));
        held.is_copied(one.0);
        held.put_back(two.0, two.1);
        assert_eq!(held.left_over(), (1, 1));
    }

    #[test]
    fn a_receipt_is_good_for_one_settlement_and_none_after_the_end() {
        let held = Held::default();
        held.arrive(1, 7, incoming("a"));
        held.arrive(1, 8, incoming("b"));
        let found = texts(held.hand_out(Demand::new(9, 9), false));
        assert_eq!(held.take(found[0].0).unwrap().tag, 7);
        assert!(held.take(found[0].0).is_none());
        held.end("cut");
        assert!(held.take(found[1].0).is_none());
        assert!(matches!(held.hand_out(Demand::new(1, 1), false), Found::Over(_)));
        held.arrive(1, 9, incoming("late"));
        held.closes(1);
        assert_eq!(held.left_over(), (0, 0));
    }
}
