//! What each message meets and where it must end, decided by its number and the seed, so that the
//! publisher, the handler and the report need not tell one another.

use steadfast::Reason;

/// The event that the filter does not want.
pub(crate) const UNWANTED: &str = "ping";
/// The event that the handler refuses for good.
pub(crate) const REFUSED: &str = "marketplace_purchase";
/// The event whose handler has a bug and panics, each time.
pub(crate) const PANICKING: &str = "gollum";

/// The header with the delivery id, as GitHub sends it: the same on every copy.
pub(crate) const DELIVERY: &str = "x-github-delivery";
/// The header with the number of the copy, from 1: producers that try again have none, and steadfast
/// needs none. By it the end of each copy is seen on any broker.
pub(crate) const COPY: &str = "x-copy";
/// The header with the kind of event.
pub(crate) const EVENT: &str = "x-github-event";

/// The plan that follows from a seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    seed: u64,
}

/// Where a message must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// In the ledger, once.
    Done,
    /// Acked unseen.
    Ignored,
    /// In the dead letters.
    Dead(Reason),
}

/// What the handler of a message meets before it succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// The first attempts fail.
    Fails(u32),
    /// The first attempt never ends by itself.
    Hangs,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The delivery id of a message.
    pub(crate) fn delivery_id(self, number: u64) -> String {
        let seed = self.seed & 0xffff_ffff;
        format!("{seed:08x}-5eed-4fa5-8000-{number:012x}")
    }

    /// The number of the message with this delivery id.
    pub(crate) fn number(delivery_id: &str) -> Option<u64> {
        let (_, number) = delivery_id.rsplit_once('-')?;
        u64::from_str_radix(number, 16).ok()
    }

    /// Whether every copy of this message is cut in half: one in 20.
    pub(crate) fn is_cut(self, number: u64) -> bool {
        self.draw(number, 1).is_multiple_of(20)
    }

    /// Where the message must end. The filter looks at headers, so it comes before the body.
    pub(crate) fn fate(self, event: &str, number: u64) -> Fate {
        match event {
            UNWANTED => Fate::Ignored,
            _ if self.is_cut(number) => Fate::Dead(Reason::Undecodable),
            REFUSED => Fate::Dead(Reason::Permanent),
            PANICKING => Fate::Dead(Reason::Exhausted),
            _ => Fate::Done,
        }
    }

    /// What its handler meets: one in 10 fails once, one in 50 twice, one in 1,000 hangs.
    pub(crate) fn trouble(self, number: u64) -> Trouble {
        match self.draw(number, 2) % 1000 {
            0 => Trouble::Hangs,
            1..=20 => Trouble::Fails(2),
            21..=120 => Trouble::Fails(1),
            _ => Trouble::None,
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014) of seed, message and question.
    fn draw(self, number: u64, question: u64) -> u64 {
        [self.seed, number, question].into_iter().fold(0_u64, |state, word| {
            let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_id_tells_the_number_again() {
        let plan = Plan::new(u64::MAX);
        assert_eq!(Plan::number(&plan.delivery_id(987_654)), Some(987_654));
        assert_eq!(Plan::number("no-number-in-this-one"), None);
        assert_eq!(Plan::number(""), None);
    }

    #[test]
    fn an_unwanted_event_is_ignored_even_when_it_is_cut() {
        let plan = Plan::new(1);
        let cut = (0..).find(|number| plan.is_cut(*number)).expect("one in 20 is cut");
        assert_eq!(plan.fate(UNWANTED, cut), Fate::Ignored);
        assert_eq!(plan.fate(REFUSED, cut), Fate::Dead(Reason::Undecodable));
        assert_eq!(plan.fate("push", cut), Fate::Dead(Reason::Undecodable));
    }

    #[test]
    fn the_plan_meets_its_proportions() {
        let plan = Plan::new(3);
        let cut = (0..100_000).filter(|number| plan.is_cut(*number)).count();
        assert!((4_500..5_500).contains(&cut), "{cut}");
        let count =
            |trouble| (0..100_000).filter(|number| plan.trouble(*number) == trouble).count();
        assert!((9_500..10_500).contains(&count(Trouble::Fails(1))));
        assert!((50..150).contains(&count(Trouble::Hangs)));
    }

    #[test]
    fn another_seed_is_another_plan() {
        let cut = |seed| -> Vec<u64> {
            (0..1000).filter(|number| Plan::new(seed).is_cut(*number)).collect()
        };
        assert_ne!(cut(1), cut(2));
        assert_eq!(cut(1), cut(1));
    }
}
