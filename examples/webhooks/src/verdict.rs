//! Whether everything ended where it must, exactly once.

use crate::{
    manifest::{Account, Line},
    plan::{Fate, Plan},
};

/// What the comparison of plan, ledger and dead letters has found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Different messages in the ledger.
    pub(crate) done: u64,
    /// Different messages in the dead letters.
    pub(crate) dead: u64,
    /// Different messages that were ignored.
    pub(crate) ignored: u64,
    /// Messages that ended nowhere.
    pub(crate) lost: u64,
    /// Entries of the ledger beyond the first of a message.
    pub(crate) doubled: u64,
    /// Bodies that were cut, and lie in the dead letters byte for byte.
    pub(crate) cut_intact: u64,
    /// What is wrong, in words.
    pub(crate) problems: Vec<String>,
}

/// Messages that share a problem.
#[derive(Default)]
struct Found {
    count: u64,
    first: u64,
}

impl Found {
    fn add(&mut self, number: u64) {
        if self.count == 0 {
            self.first = number;
        }
        self.count += 1;
    }
}

impl Verdict {
    /// Compares. `counts` says how often each message stands in the ledger.
    pub(crate) fn of(account: &Account, counts: &[u32], plan: Plan) -> Self {
        let mut verdict = Self::default();
        let [mut lost, mut doubled, mut misplaced] = [const { Found { count: 0, first: 0 } }; 3];
        for ((number, line), effects) in (0..).zip(&account.messages).zip(counts) {
            verdict.done += u64::from(*effects > 0);
            verdict.dead += u64::from(line.dead.is_some());
            verdict.ignored += u64::from(line.ignored);
            verdict.doubled += u64::from(effects.saturating_sub(1));
            let cut = line.fate == Fate::Dead(steadfast::Reason::Undecodable);
            verdict.cut_intact += u64::from(cut && line.dead.is_some());
            let nowhere = *effects == 0 && line.dead.is_none() && !line.ignored;
            if nowhere {
                lost.add(number);
            } else if !is_where_it_must_be(line, *effects) {
                misplaced.add(number);
            }
            if *effects > 1 {
                doubled.add(number);
            }
        }
        verdict.lost = lost.count;
        verdict.cut_intact = verdict.cut_intact.saturating_sub(account.changed);
        let mut note = |found: &Found, what: &str| {
            if found.count > 0 {
                let (count, first) = (found.count, plan.delivery_id(found.first));
                verdict.problems.push(format!("{what}: {count}, the first is {first}"));
            }
        };
        note(&lost, "webhooks that ended nowhere");
        note(&doubled, "webhooks that took effect more than once");
        note(&misplaced, "webhooks that ended where they should not");
        let missing = Found { count: account.cut.len() as u64, first: first_missing(account) };
        note(&missing, "cut bodies that are not in the dead letters");
        for (count, what) in [
            (account.changed, "cut bodies that lie in the dead letters with other bytes"),
            (account.strangers, "dead letters that tell no story, or belong to no webhook"),
        ] {
            if count > 0 {
                verdict.problems.push(format!("{what}: {count}"));
            }
        }
        verdict
    }
}

fn is_where_it_must_be(line: &Line, effects: u32) -> bool {
    let ended = (effects > 0, line.dead, line.ignored);
    match line.fate {
        Fate::Done => ended == (true, None, false),
        Fate::Ignored => ended == (false, None, true),
        Fate::Dead(reason) => ended == (false, Some(reason), false),
    }
}

fn first_missing(account: &Account) -> u64 {
    account.cut.keys().min().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use steadfast::Reason;

    use super::*;
    use crate::manifest::Manifest;

    const CUT: Fate = Fate::Dead(Reason::Undecodable);

    fn verdict(manifest: &Manifest, counts: &[u32]) -> Verdict {
        Verdict::of(&manifest.account(), counts, Plan::new(0))
    }

    fn published(fates: &[Fate]) -> Manifest {
        let manifest = Manifest::default();
        for fate in fates {
            let cut = (*fate == CUT).then(|| Bytes::from_static(b"{"));
            manifest.publishing("push", *fate, cut);
        }
        manifest
    }

    #[test]
    fn everything_in_its_place_is_no_problem() {
        let manifest = published(&[Fate::Done, CUT, Fate::Ignored, Fate::Dead(Reason::Exhausted)]);
        manifest.dead(1, Reason::Undecodable, Some(&Bytes::from_static(b"{")));
        manifest.ignored(2);
        manifest.dead(3, Reason::Exhausted, None);
        let verdict = verdict(&manifest, &[1, 0, 0, 0]);
        assert!(verdict.problems.is_empty(), "{:?}", verdict.problems);
        assert_eq!((verdict.done, verdict.dead, verdict.ignored), (1, 2, 1));
        assert_eq!((verdict.lost, verdict.doubled, verdict.cut_intact), (0, 0, 1));
    }

    #[test]
    fn what_is_lost_or_doubled_is_counted_and_named() {
        let manifest = published(&[Fate::Done; 4]);
        let verdict = verdict(&manifest, &[1, 0, 3, 2]);
        assert_eq!((verdict.lost, verdict.doubled), (1, 3));
        let first =
            "webhooks that ended nowhere: 1, the first is 00000000-5eed-4fa5-8000-000000000001";
        assert_eq!(verdict.problems[0], first);
        assert!(verdict.problems[1].starts_with("webhooks that took effect more than once: 2, "));
    }

    #[test]
    fn a_cut_body_that_is_missing_or_changed_is_a_problem() {
        let manifest = published(&[CUT, CUT]);
        manifest.dead(1, Reason::Undecodable, Some(&Bytes::from_static(b"[")));
        let verdict = verdict(&manifest, &[0, 0]);
        assert_eq!((verdict.lost, verdict.cut_intact), (1, 0));
        assert!(verdict.problems.iter().any(|text| text.contains("not in the dead letters")));
        assert!(verdict.problems.iter().any(|text| text.contains("with other bytes")));
    }

    #[test]
    fn an_end_in_the_wrong_place_or_in_two_places_is_a_problem() {
        for (fate, effects, dead) in [
            (Fate::Done, 0, Some(Reason::Exhausted)),
            (Fate::Done, 1, Some(Reason::Exhausted)),
            (Fate::Ignored, 1, None),
            (Fate::Dead(Reason::Permanent), 0, Some(Reason::Exhausted)),
            (Fate::Dead(Reason::Permanent), 1, Some(Reason::Permanent)),
        ] {
            let manifest = published(&[fate]);
            if let Some(reason) = dead {
                manifest.dead(0, reason, None);
            }
            let verdict = verdict(&manifest, &[effects]);
            assert_eq!(verdict.problems.len(), 1, "{fate:?}: {:?}", verdict.problems);
            assert_eq!(verdict.lost, 0);
        }
    }
}
