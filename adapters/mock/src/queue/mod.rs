//! One consumer group's queue of one topic: a state machine without clock and without I/O.
//!
//! An entry is ready, delayed or held until it is acked or taken away. In ordered mode the entries
//! of one key form a line: an entry goes out only to the session that holds all of the line that is
//! out, and only when nothing before it waits.

mod entry;
mod moves;
#[cfg(test)]
mod properties;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use self::entry::Line;
pub(crate) use self::entry::{Entry, Holding, Load, Phase, Place, Stored, Time};

/// The receipt is not, or no longer, the one under which the entry is held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stale;

#[derive(Default)]
pub(crate) struct GroupQueue {
    ordered: bool,
    delivery_limit: Option<u32>,
    next_number: u64,
    entries: BTreeMap<Place, Entry>,
    ready: BTreeSet<Place>,
    delayed: BTreeSet<(Time, Place)>,
    held: BTreeMap<u64, Place>,
    expiring: BTreeSet<(Time, u64)>,
    lines: BTreeMap<Bytes, Line>,
    loads: BTreeMap<u64, Load>,
    pub(crate) taken_away: Vec<Arc<Stored>>,
    pub(crate) deliveries: u64,
    pub(crate) max_unsettled: usize,
}

impl GroupQueue {
    pub(crate) fn new(ordered: bool, delivery_limit: Option<u32>) -> Self {
        Self { ordered, delivery_limit, ..Self::default() }
    }

    /// Appends a message, to be handed out not before `until`.
    pub(crate) fn push(&mut self, stored: Arc<Stored>, until: Option<Time>) -> Place {
        let place = Place { number: self.next_number, twin: 0 };
        self.next_number += 1;
        self.insert(place, Entry { stored, deliveries: 0, counted: 0, phase: Phase::Ready });
        self.wait(place, until);
        place
    }

    /// Puts a second entry of the same message right behind this one.
    pub(crate) fn twin(&mut self, place: Place) -> Place {
        let number = place.number;
        let last = self.entries.range(..=Place { number, twin: u32::MAX }).next_back();
        let twin = Place { number, twin: last.map_or(0, |(last, _)| last.twin) + 1 };
        let entry = &self.entries[&place];
        let (stored, deliveries, counted) =
            (Arc::clone(&entry.stored), entry.deliveries - 1, entry.counted);
        self.insert(twin, Entry { stored, deliveries, counted, phase: Phase::Ready });
        self.wait(twin, None);
        twin
    }

    /// What this session may be handed now, in order.
    pub(crate) fn deliverable(&self, session: u64) -> impl Iterator<Item = Place> {
        self.ready.iter().copied().filter(move |place| {
            let Some(line) = self.line(*place) else { return true };
            (line.held.is_empty() || line.session == session)
                && line.places.range(..place).all(|before| line.held.contains_key(before))
        })
    }

    /// Hands an entry out. It must be deliverable.
    pub(crate) fn hand_out(&mut self, place: Place, holding: Holding) -> &Entry {
        self.ready.remove(&place);
        self.held.insert(holding.tag, place);
        if let Some(until) = holding.until {
            self.expiring.insert((until, holding.tag));
        }
        if let Some(line) = self.line_mut(place) {
            line.session = holding.session;
            line.held.insert(place, holding.tag);
        }
        self.deliveries += 1;
        self.max_unsettled = self.max_unsettled.max(self.held.len());
        let entry = self.entries.get_mut(&place).expect("a ready place has an entry");
        let load = self.loads.entry(holding.session).or_default();
        load.messages += 1;
        load.bytes += entry.stored.message.size();
        entry.deliveries += 1;
        entry.phase = Phase::Held(holding);
        entry
    }

    pub(crate) fn ack(&mut self, session: u64, tag: u64) -> Result<(), Stale> {
        self.valid(session, tag)?;
        let place = self.let_go(tag);
        self.remove(place);
        Ok(())
    }

    /// Uses the receipt up as an ack does, and keeps the entry.
    pub(crate) fn lose_ack(&mut self, session: u64, tag: u64) -> Result<(), Stale> {
        self.valid(session, tag)?;
        self.holding_mut(tag).ack_lost = true;
        Ok(())
    }

    /// Puts an entry back to its place, to be handed out not before `until`.
    pub(crate) fn give_back(
        &mut self,
        session: u64,
        tag: u64,
        until: Option<Time>,
        counted: bool,
    ) -> Result<(), Stale> {
        self.valid(session, tag)?;
        let place = self.let_go(tag);
        self.wait(place, until);
        self.count(place, counted);
        Ok(())
    }

    /// Prolongs a hold to `each` from now, but never beyond `total` since receipt.
    pub(crate) fn extend(
        &mut self,
        session: u64,
        tag: u64,
        now: Time,
        (each, total): (Time, Option<Time>),
    ) -> Result<(), Stale> {
        self.valid(session, tag)?;
        let holding = self.holding_mut(tag);
        let last = total.map_or(Time::MAX, |total| holding.since.saturating_add(total));
        let until = now.saturating_add(each).min(last);
        if let Some(before) = holding.until.replace(until) {
            self.expiring.remove(&(before, tag));
        }
        self.expiring.insert((until, tag));
        Ok(())
    }

    /// Lets time pass, and says which receipts it has made stale.
    pub(crate) fn advance(&mut self, now: Time) -> Vec<u64> {
        while let Some((_, place)) = pop_due(&mut self.delayed, now) {
            self.wait(place, None);
        }
        let mut stale = Vec::new();
        while let Some((_, tag)) = pop_due(&mut self.expiring, now) {
            stale.extend(self.expire(tag));
        }
        stale
    }

    /// Ends a session as a lost connection does, and says which receipts that has made stale.
    pub(crate) fn end(&mut self, session: u64) -> Vec<u64> {
        let is_its = |entry: &Entry| matches!(&entry.phase, Phase::Held(h) if h.session == session);
        let tags: Vec<u64> =
            self.held.iter().filter(|(_, p)| is_its(&self.entries[p])).map(|(t, _)| *t).collect();
        for tag in &tags {
            let place = self.let_go(*tag);
            self.wait(place, None);
            // A quorum queue counts what a lost consumer held, the prefetched included.
            self.count(place, true);
        }
        self.loads.remove(&session);
        tags
    }

    /// When time next changes something.
    pub(crate) fn next_due(&self) -> Option<Time> {
        let delayed = self.delayed.first().map(|(due, _)| *due);
        let expiring = self.expiring.first().map(|(until, _)| *until);
        delayed.into_iter().chain(expiring).min()
    }

    /// How many entries are not handed out.
    pub(crate) fn backlog(&self) -> usize {
        self.ready.len() + self.delayed.len()
    }

    /// How many entries are handed out.
    pub(crate) fn unsettled(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.values()
    }

    pub(crate) fn load(&self, session: u64) -> Load {
        self.loads.get(&session).copied().unwrap_or_default()
    }

    /// Whether a receipt would be accepted.
    pub(crate) fn valid(&self, session: u64, tag: u64) -> Result<&Entry, Stale> {
        let entry = self.held.get(&tag).map(|place| &self.entries[place]).ok_or(Stale)?;
        match &entry.phase {
            Phase::Held(h) if h.session == session && !h.ack_lost => Ok(entry),
            _ => Err(Stale),
        }
    }
}

fn pop_due<T: Copy + Ord>(waiting: &mut BTreeSet<(Time, T)>, now: Time) -> Option<(Time, T)> {
    waiting.first().is_some_and(|(due, _)| *due <= now).then(|| waiting.pop_first())?
}
