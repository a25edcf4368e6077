//! What goes wrong, and how often.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{Chaos, MockBroker, state::Shared};

impl MockBroker {
    /// The faults of this broker. Each method of [`Faults`] adds to the plan at once.
    ///
    /// ```
    /// # use steadfast_mock::MockBroker;
    /// # let broker = MockBroker::new();
    /// broker.faults().lose_acks(2).take_down("orders.dead");
    /// ```
    pub fn faults(&self) -> Faults<'_> {
        Faults { shared: &self.shared }
    }
}

/// The fault plan of a broker. Faults are used up in the order in which their calls come; adding
/// to one that is not used up adds to its count.
#[derive(Clone, Copy)]
pub struct Faults<'a> {
    shared: &'a Shared,
}

impl Faults<'_> {
    /// Loses the next `n` acks: they are answered with success, and the message comes again when
    /// its hold runs out or its session ends. Where holds are unlimited, the session ends at once.
    pub fn lose_acks(self, n: u32) -> Self {
        self.plan(|plan| plan.lost_acks += n)
    }

    /// Hands the next `n` deliveries out twice at the same time, with different receipts that must
    /// both be settled. A session without room gets the second one as its next. Only on an
    /// unordered broker.
    pub fn duplicate(self, n: u32) -> Self {
        self.plan(|plan| plan.duplicates += n)
    }

    /// From now on hands out in an order that the broker's seed decides. Only on an unordered
    /// broker.
    pub fn reorder(self) -> Self {
        self.plan(|plan| plan.reorder = true)
    }

    /// The next `n` publishes to this topic are answered with
    /// [`PublishError::Refused`](steadfast::broker::PublishError::Refused).
    pub fn refuse_publishes(self, topic: &str, n: usize) -> Self {
        self.plan(|plan| plan.add_refusals(topic, n, Refusal::Refused))
    }

    /// The next `n` publishes to this topic are answered with
    /// [`PublishError::Unavailable`](steadfast::broker::PublishError::Unavailable).
    pub fn fail_publishes(self, topic: &str, n: usize) -> Self {
        self.plan(|plan| plan.add_refusals(topic, n, Refusal::Unavailable))
    }

    /// The next `n` publishes to this topic are made, and answered with
    /// [`PublishError::Unavailable`](steadfast::broker::PublishError::Unavailable): their
    /// confirmation is lost.
    pub fn lose_confirms(self, topic: &str, n: u32) -> Self {
        self.plan(|plan| *plan.lost_confirms.entry(topic.to_owned()).or_default() += n)
    }

    /// A consumer's publishes to this topic, and its check, are answered with "unavailable" until
    /// [`Faults::bring_up`]. [`MockBroker::publish`] goes on.
    pub fn take_down(self, topic: &str) -> Self {
        self.plan(|plan| {
            plan.down.insert(topic.to_owned());
        })
    }

    /// Ends [`Faults::take_down`].
    pub fn bring_up(self, topic: &str) -> Self {
        self.plan(|plan| {
            plan.down.remove(topic);
        })
    }

    /// The next `n` calls that settle, each with its whole batch, settle nothing and are answered
    /// with [`SettleError::Unavailable`](steadfast::broker::SettleError::Unavailable).
    pub fn fail_settles(self, n: u32) -> Self {
        self.plan(|plan| plan.failed_settles += n)
    }

    /// The next `n` subscribes are answered with
    /// [`BrokerError::Unavailable`](steadfast::broker::BrokerError::Unavailable).
    pub fn refuse_connections(self, n: u32) -> Self {
        self.plan(|plan| plan.refused_connections = plan.refused_connections.saturating_add(n))
    }

    /// Ends all sessions: their `receive` fails, their receipts are stale, and what they hold goes
    /// back. The tokens of the deliveries are left to the consumer to trip.
    pub fn disconnect(self) -> Self {
        self.shared.update(|state, _| {
            let sessions: Vec<u64> = state.sessions.keys().copied().collect();
            sessions.into_iter().for_each(|session| state.end(session));
        });
        self
    }

    /// Adds faults at random, in place of those of an earlier call.
    pub fn chaos(self, chaos: Chaos) -> Self {
        self.plan(|plan| plan.chaos = Some(chaos))
    }

    /// Ends all faults: what is not used up is forgotten, and topics that are down come up.
    pub fn calm(self) -> Self {
        self.plan(|plan| *plan = Plan::default())
    }

    fn plan(self, change: impl FnOnce(&mut Plan)) -> Self {
        self.shared.update(|state, _| change(&mut state.plan));
        self
    }
}

/// How a publish fails.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    Unavailable,
    Refused,
}

/// What is left of the faults.
#[derive(Default)]
pub(crate) struct Plan {
    lost_acks: u32,
    duplicates: u32,
    reorder: bool,
    refusals: BTreeMap<String, VecDeque<Refusal>>,
    lost_confirms: BTreeMap<String, u32>,
    down: BTreeSet<String>,
    failed_settles: u32,
    refused_connections: u32,
    chaos: Option<Chaos>,
}

impl Plan {
    pub(crate) fn loses_ack(&mut self) -> bool {
        use_up(&mut self.lost_acks) || self.by_chance(Chaos::loses_ack)
    }

    pub(crate) fn duplicates(&mut self) -> bool {
        use_up(&mut self.duplicates) || self.by_chance(Chaos::duplicates_delivery)
    }

    pub(crate) fn reorders(&mut self) -> bool {
        self.reorder || self.by_chance(Chaos::reorders)
    }

    pub(crate) fn refuses_publish(&mut self, topic: &str) -> Option<Refusal> {
        if self.is_down(topic) {
            return Some(Refusal::Unavailable);
        }
        let planned = self.refusals.get_mut(topic).and_then(VecDeque::pop_front);
        planned.or_else(|| self.by_chance(Chaos::fails_publish).then_some(Refusal::Unavailable))
    }

    pub(crate) fn is_down(&self, topic: &str) -> bool {
        self.down.contains(topic)
    }

    pub(crate) fn loses_confirm(&mut self, topic: &str) -> bool {
        self.lost_confirms.get_mut(topic).is_some_and(use_up)
            || self.by_chance(Chaos::loses_confirm)
    }

    pub(crate) fn fails_settle(&mut self) -> bool {
        use_up(&mut self.failed_settles) || self.by_chance(Chaos::fails_settle)
    }

    pub(crate) fn refuses_connection(&mut self) -> bool {
        use_up(&mut self.refused_connections) || self.by_chance(Chaos::refuses_connection)
    }

    pub(crate) fn breaks_connection(&mut self) -> bool {
        self.by_chance(Chaos::breaks_connection)
    }

    fn add_refusals(&mut self, topic: &str, n: usize, refusal: Refusal) {
        self.refusals.entry(topic.to_owned()).or_default().extend(std::iter::repeat_n(refusal, n));
    }

    fn by_chance(&mut self, fault: impl FnOnce(&mut Chaos) -> bool) -> bool {
        self.chaos.as_mut().is_some_and(fault)
    }
}

fn use_up(count: &mut u32) -> bool {
    let left = *count > 0;
    *count -= u32::from(left);
    left
}
