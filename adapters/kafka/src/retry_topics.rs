//! Topics in which messages wait for a long retry: one for each length, of one group and one source,
//! because other groups read the source topic too.

use std::time::Duration;

use steadfast::broker::{BrokerError, Subscription};

/// One length, and its topic. What it holds is due this long after the broker has taken it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tier {
    pub(crate) topic: String,
    pub(crate) delay: Duration,
}

/// The longest name of a topic, and what it may be made of, as Kafka's `Topic.validate` has it.
const LONGEST_NAME: usize = 249;

impl Tier {
    /// The tiers of a subscription, from the shortest on.
    pub(crate) fn all(
        subscription: &Subscription,
        delays: &[Duration],
    ) -> Result<Vec<Self>, BrokerError> {
        // So that the group `c` of `a.b` and the group `b.c` of `a` do not read each other's.
        let group = subscription.group.replace('.', "..");
        delays
            .iter()
            .map(|delay| {
                let length = humantime::format_duration(*delay).to_string().replace(' ', "");
                let topic = format!("{}.{group}.retry.{length}", subscription.source);
                let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
                if topic.len() > LONGEST_NAME || !topic.chars().all(legal) {
                    return Err(BrokerError::Misconfigured(format!(
                        "the retry topic `{topic}` cannot be named so: a topic has letters, digits, \
                         `.`, `_` and `-`, at most {LONGEST_NAME}; choose another `.group(…)`, or \
                         leave `retry_tiers` out"
                    )));
                }
                Ok(Self { topic, delay: *delay })
            })
            .collect()
    }

    /// The tier for a wait: the shortest that is not early, else the longest.
    pub(crate) fn for_wait(tiers: &[Self], wait: Duration) -> Option<&Self> {
        tiers.iter().find(|tier| tier.delay >= wait).or(tiers.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiers(group: &str) -> Result<Vec<Tier>, BrokerError> {
        tiers_of("orders", group)
    }

    fn tiers_of(source: &str, group: &str) -> Result<Vec<Tier>, BrokerError> {
        let delays = [Duration::from_secs(5), Duration::from_secs(90)];
        Tier::all(&Subscription::new(source, group), &delays)
    }

    #[test]
    fn a_retry_topic_belongs_to_its_group() {
        let names: Vec<String> =
            tiers("billing").unwrap().into_iter().map(|tier| tier.topic).collect();
        assert_eq!(names, ["orders.billing.retry.5s", "orders.billing.retry.1m30s"]);
    }

    #[test]
    fn no_two_groups_share_a_retry_topic() {
        let (one, other) = (tiers_of("a.b", "c").unwrap(), tiers_of("a", "b.c").unwrap());
        assert_eq!((&*one[0].topic, &*other[0].topic), ("a.b.c.retry.5s", "a.b..c.retry.5s"));
    }

    #[test]
    fn a_group_that_cannot_be_in_a_topics_name_is_refused() {
        let refused = tiers("my group").unwrap_err().to_string();
        assert!(refused.contains("my group") && refused.contains("retry_tiers"), "{refused}");
    }

    #[test]
    fn a_wait_is_never_early_while_a_tier_is_long_enough() {
        let tiers = tiers("billing").unwrap();
        let chosen =
            |wait| Tier::for_wait(&tiers, Duration::from_secs(wait)).unwrap().delay.as_secs();
        assert_eq!([1, 5, 6, 90, 91].map(chosen), [5, 5, 90, 90, 90]);
        assert_eq!(Tier::for_wait(&[], Duration::ZERO), None);
    }
}
