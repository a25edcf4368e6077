//! How entries move between the phases, and what is kept in step with them.

use std::sync::Arc;

use super::{Entry, GroupQueue, Holding, Phase, Place, Time, entry::Line};

impl GroupQueue {
    /// A hold has run out. What followed it in its line goes back too: it must come after it.
    pub(super) fn expire(&mut self, tag: u64) -> Vec<u64> {
        let mut stale = vec![tag];
        let place = self.held[&tag];
        if let Some(line) = self.line(place) {
            stale.extend(line.held.range(place..).skip(1).map(|(_, tag)| tag));
        }
        for tag in &stale {
            let place = self.let_go(*tag);
            self.wait(place, None);
        }
        self.count(place, true);
        stale
    }

    /// Takes an entry out of a session's hands; the caller decides what becomes of it.
    pub(super) fn let_go(&mut self, tag: u64) -> Place {
        let place = self.held.remove(&tag).expect("the tag is held");
        let entry = &self.entries[&place];
        if let Phase::Held(holding) = &entry.phase {
            if let Some(until) = holding.until {
                self.expiring.remove(&(until, tag));
            }
            let load = self.loads.entry(holding.session).or_default();
            load.messages -= 1;
            load.bytes -= entry.stored.message.size();
        }
        if let Some(line) = self.line_mut(place) {
            line.held.remove(&place);
        }
        place
    }

    pub(super) fn wait(&mut self, place: Place, until: Option<Time>) {
        let phase = match until {
            Some(until) => {
                self.delayed.insert((until, place));
                Phase::Delayed(until)
            }
            None => {
                self.ready.insert(place);
                Phase::Ready
            }
        };
        self.entries.get_mut(&place).expect("a waiting place has an entry").phase = phase;
    }

    /// Counts a delivery that came back, and takes the message away at the limit.
    pub(super) fn count(&mut self, place: Place, counted: bool) {
        let entry = self.entries.get_mut(&place).expect("a counted place has an entry");
        entry.counted += u32::from(counted);
        if counted && self.delivery_limit.is_some_and(|limit| entry.counted >= limit) {
            self.taken_away.push(Arc::clone(&entry.stored));
            self.remove(place);
        }
    }

    pub(super) fn insert(&mut self, place: Place, entry: Entry) {
        if let Some(key) = entry.stored.message.key.clone().filter(|_| self.ordered) {
            self.lines.entry(key).or_default().places.insert(place);
        }
        self.entries.insert(place, entry);
    }

    pub(super) fn remove(&mut self, place: Place) {
        if let Some(line) = self.line_mut(place) {
            line.places.remove(&place);
        }
        let Some(entry) = self.entries.remove(&place) else { return };
        self.ready.remove(&place);
        if let Phase::Delayed(until) = entry.phase {
            self.delayed.remove(&(until, place));
        }
        if let Some(key) = &entry.stored.message.key
            && self.lines.get(key).is_some_and(|line| line.places.is_empty())
        {
            self.lines.remove(key);
        }
    }

    pub(super) fn line(&self, place: Place) -> Option<&Line> {
        self.lines.get(self.entries.get(&place)?.stored.message.key.as_ref()?)
    }

    pub(super) fn line_mut(&mut self, place: Place) -> Option<&mut Line> {
        self.lines.get_mut(self.entries.get(&place)?.stored.message.key.as_ref()?)
    }

    pub(super) fn holding_mut(&mut self, tag: u64) -> &mut Holding {
        match &mut self.entries.get_mut(&self.held[&tag]).expect("a held place has an entry").phase
        {
            Phase::Held(holding) => holding,
            _ => unreachable!("a held place is in the phase Held"),
        }
    }
}
