//! What was published, where it must end, and where it has ended. A few bytes a message.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use steadfast::Reason;

use crate::plan::Fate;

/// The account of the job that the verdict is taken from.
#[derive(Default)]
pub(crate) struct Manifest {
    account: Mutex<Account>,
    buried: HashSet<u64>,
}

/// The account itself.
#[derive(Default)]
pub(crate) struct Account {
    /// The kinds of events in the order in which they first came.
    pub(crate) kinds: Vec<String>,
    /// By number.
    pub(crate) messages: Vec<Line>,
    /// Copies that were published and have not ended: the message's number and the copy's.
    pub(crate) under_way: HashSet<(u64, u64)>,
    /// Messages that must come to the dead letters and have not.
    pub(crate) dying: u64,
    /// Cut bodies that have not come to the dead letters, by number. Each is let go when it comes.
    pub(crate) cut: HashMap<u64, Bytes>,
    /// Cut bodies that came with other bytes.
    pub(crate) changed: u64,
    /// Dead letters that tell no story, or that nobody published.
    pub(crate) strangers: u64,
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// Index of its kind.
    pub(crate) kind: u16,
    pub(crate) fate: Fate,
    pub(crate) ignored: bool,
    pub(crate) dead: Option<Reason>,
}

/// Beyond this many kinds the rest is counted as one.
const MOST_KINDS: usize = 500;
const OTHER_KINDS: &str = "(other kinds)";

impl Manifest {
    /// Of a run of which an earlier process has buried these messages: no dead letter need come.
    pub(crate) fn after(buried: HashSet<u64>) -> Self {
        Self { account: Mutex::default(), buried }
    }

    /// Notes a message before its first copy is published. Messages are numbered from 0.
    pub(crate) fn publishing(&self, event: &str, fate: Fate, cut: Option<Bytes>) {
        let mut account = self.account();
        let number = account.messages.len() as u64;
        let kind = account.kind(event);
        let dead = self.buried.contains(&number).then_some(match fate {
            Fate::Dead(reason) => reason,
            _ => Reason::Exhausted,
        });
        account.dying += u64::from(matches!(fate, Fate::Dead(_)) && dead.is_none());
        account.messages.push(Line { kind, fate, ignored: false, dead });
        if let Some(body) = cut {
            account.cut.insert(number, body);
        }
    }

    /// Notes a copy before it is published.
    pub(crate) fn sending(&self, number: u64, copy: u64) {
        self.account().under_way.insert((number, copy));
    }

    /// Notes that a copy has ended.
    pub(crate) fn ended(&self, number: u64, copy: u64) {
        self.account().under_way.remove(&(number, copy));
    }

    /// How many copies are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.account().under_way.len()
    }

    /// Whether every copy has ended, and every dead letter has come that must.
    pub(crate) fn is_settled(&self) -> bool {
        let account = self.account();
        account.under_way.is_empty() && account.dying == 0
    }

    /// Notes that a message was ignored.
    pub(crate) fn ignored(&self, number: u64) {
        if let Some(line) = self.account().line(number) {
            line.ignored = true;
        }
    }

    /// Notes a dead letter, and compares the body if it should be a cut one.
    pub(crate) fn dead(&self, number: u64, reason: Reason, body: Option<&Bytes>) {
        let mut account = self.account();
        match account.line(number) {
            Some(line) => {
                let first = line.dead.replace(reason).is_none();
                let due = matches!(line.fate, Fate::Dead(_));
                account.dying -= u64::from(first && due);
            }
            None => account.strangers += 1,
        }
        if let Some(cut) = account.cut.remove(&number)
            && body != Some(&cut)
        {
            account.changed += 1;
        }
    }

    /// Notes a dead letter that cannot be told.
    pub(crate) fn stranger(&self) {
        self.account().strangers += 1;
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn line(&mut self, number: u64) -> Option<&mut Line> {
        self.messages.get_mut(usize::try_from(number).ok()?)
    }

    fn kind(&mut self, event: &str) -> u16 {
        let event = if self.kinds.len() < MOST_KINDS { event } else { OTHER_KINDS };
        let known = self.kinds.iter().position(|known| known == event);
        let kind = known.unwrap_or_else(|| {
            self.kinds.push(event.to_owned());
            self.kinds.len() - 1
        });
        u16::try_from(kind).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNDECODABLE: Fate = Fate::Dead(Reason::Undecodable);

    #[test]
    fn it_is_settled_when_every_copy_has_ended_and_every_dead_letter_has_come() {
        let manifest = Manifest::default();
        manifest.publishing("push", UNDECODABLE, None);
        for copy in 1..=2 {
            manifest.sending(0, copy);
            assert!(!manifest.is_settled());
            manifest.ended(0, copy);
            manifest.ended(0, copy);
        }
        assert!(!manifest.is_settled());
        manifest.dead(0, Reason::Undecodable, None);
        manifest.dead(0, Reason::Undecodable, None);
        assert!(manifest.is_settled());
    }

    #[test]
    fn a_cut_body_is_compared_once_and_let_go() {
        let manifest = Manifest::default();
        let body = Bytes::from_static(b"{\"a\":");
        manifest.publishing("push", UNDECODABLE, Some(body.clone()));
        manifest.dead(0, Reason::Undecodable, Some(&body));
        manifest.dead(0, Reason::Undecodable, Some(&body));
        let account = manifest.account();
        assert!(account.cut.is_empty());
        assert_eq!((account.changed, account.strangers), (0, 0));
    }

    #[test]
    fn a_cut_body_that_comes_changed_is_noticed() {
        let manifest = Manifest::default();
        manifest.publishing("push", UNDECODABLE, Some(Bytes::from_static(b"{")));
        manifest.publishing("push", UNDECODABLE, Some(Bytes::from_static(b"{")));
        manifest.dead(0, Reason::Undecodable, Some(&Bytes::from_static(b"{ ")));
        manifest.dead(1, Reason::Undecodable, None);
        assert_eq!(manifest.account().changed, 2);
    }

    #[test]
    fn a_dead_letter_that_nobody_published_is_a_stranger() {
        let manifest = Manifest::default();
        manifest.dead(0, Reason::Permanent, None);
        manifest.stranger();
        assert_eq!(manifest.account().strangers, 2);
    }

    #[test]
    fn kinds_are_bounded() {
        let manifest = Manifest::default();
        for n in 0..MOST_KINDS + 9 {
            manifest.publishing(&format!("kind_{n}"), Fate::Done, None);
        }
        let account = manifest.account();
        assert_eq!(account.kinds.len(), MOST_KINDS + 1);
        assert_eq!(account.kinds.last().map(String::as_str), Some(OTHER_KINDS));
    }
}
