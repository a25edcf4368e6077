//! What a test asks of the broker: counts, and conditions to wait for.

use std::fmt::Write as _;

use steadfast::Message;

use crate::{
    DeadLetters, MockBroker,
    queue::{Entry, GroupQueue, Phase, Time},
    state::State,
    topic::Topic,
};

/// Waiting for a condition, in virtual time.
impl MockBroker {
    /// Waits until something was published to the topic and every message of it, retry copies
    /// included, has been acked by every group that ever subscribed, at least one. Cancel safe.
    ///
    /// # Panics
    /// When that has not come after the broker's [patience](MockBroker::patience), or can no longer
    /// come since the delivery limit took a message away. Says where each message stands.
    pub async fn settled(&self, topic: &str) {
        let is_over = |broker: &Self| {
            broker.look(topic, |topic| {
                let lost = topic.groups.values().any(|queue| !queue.taken_away.is_empty());
                lost || is_settled(topic)
            })
        };
        let over = self.wait(|broker| is_over(broker).unwrap_or(false)).await;
        let settled = self.look(topic, is_settled).unwrap_or(false);
        if !over || !settled {
            panic!("the messages of `{topic}` are not settled\n{}", self.standing(&[topic]));
        }
    }

    /// Waits until a condition holds, which is looked at whenever something happens in the broker.
    /// `what` completes the sentence "waited for …". Cancel safe.
    ///
    /// # Panics
    /// When the condition does not hold after the broker's [patience](MockBroker::patience).
    pub async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        if !self.wait(condition).await {
            let topics: Vec<String> = self.shared.with(|s, _| s.topics.keys().cloned().collect());
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            panic!("waited in vain for {what}\n{}", self.standing(&topics));
        }
    }

    async fn wait(&self, condition: impl Fn(&Self) -> bool) -> bool {
        let patience = self.shared.with(|state, _| state.config.patience);
        let holds = async {
            loop {
                let changed = self.shared.changed.notified();
                if condition(self) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(patience, holds).await.is_ok()
    }
}

/// Looking at what has happened so far. All of them answer 0 or nothing for a topic that is not
/// there.
impl MockBroker {
    /// The messages of a dead letter destination.
    pub fn dead_letters(&self, topic: &str) -> DeadLetters {
        DeadLetters::new(topic, self.messages(topic))
    }

    /// All messages ever published to the topic, in order; retry copies are not.
    pub fn messages(&self, topic: &str) -> Vec<Message> {
        self.look(topic, |topic| topic.messages.iter().map(|m| m.message.clone()).collect())
            .unwrap_or_default()
    }

    /// The messages that the delivery limit has taken away, of all groups.
    pub fn taken_away(&self, topic: &str) -> Vec<Message> {
        self.look(topic, |topic| {
            let taken = topic.groups.values().flat_map(|queue| &queue.taken_away);
            taken.map(|stored| stored.message.clone()).collect()
        })
        .unwrap_or_default()
    }

    /// How many deliveries are handed out and not settled, of all groups.
    pub fn unsettled(&self, topic: &str) -> usize {
        self.look(topic, |topic| topic.groups.values().map(GroupQueue::unsettled).sum())
            .unwrap_or_default()
    }

    /// The most deliveries that any one group has had unsettled at a time.
    pub fn max_unsettled(&self, topic: &str) -> usize {
        self.look(topic, |topic| topic.groups.values().map(|queue| queue.max_unsettled).max())
            .flatten()
            .unwrap_or_default()
    }

    /// How many deliveries have been handed out, of all groups.
    pub fn deliveries(&self, topic: &str) -> u64 {
        self.look(topic, |topic| topic.groups.values().map(|queue| queue.deliveries).sum())
            .unwrap_or_default()
    }

    /// How many messages wait to be handed out, of all groups; the delayed ones count.
    pub fn backlog(&self, topic: &str) -> usize {
        self.look(topic, |topic| topic.groups.values().map(GroupQueue::backlog).sum())
            .unwrap_or_default()
    }

    /// How many sessions are open on the topic.
    pub fn sessions(&self, topic: &str) -> usize {
        self.shared.with(|state, _| {
            state.sessions.values().filter(|session| session.topic == topic).count()
        })
    }

    fn look<R>(&self, topic: &str, see: impl FnOnce(&Topic) -> R) -> Option<R> {
        self.shared.with(|state, _| state.topics.get(topic).map(see))
    }

    /// Where each message of these topics stands, in lines.
    fn standing(&self, topics: &[&str]) -> String {
        self.shared.with(|state, now| {
            let ended = state.complaints.iter().map(|why| format!("  a consumer ended: {why}\n"));
            ended.chain(topics.iter().map(|topic| describe(state, topic, now))).collect()
        })
    }
}

fn is_settled(topic: &Topic) -> bool {
    topic.was_used()
        && !topic.groups.is_empty()
        && topic.groups.values().all(|q| q.entries().len() == 0 && q.taken_away.is_empty())
}

fn describe(state: &State, name: &str, now: Time) -> String {
    let Some(topic) = state.topics.get(name) else {
        return format!("  nothing was ever published to `{name}`, and no group ever subscribed\n");
    };
    let mut text = format!("  `{name}`: {} messages\n", topic.messages.len());
    if topic.groups.is_empty() {
        text.push_str("    no group ever subscribed\n");
    }
    for (group, queue) in &topic.groups {
        let (left, taken) = (queue.entries().len(), queue.taken_away.len());
        let _ = writeln!(text, "    group `{group}`: {left} not acked, {taken} taken away");
        for stored in &queue.taken_away {
            let _ = writeln!(text, "      {}: taken away by the delivery limit", stored.position);
        }
        for entry in queue.entries().take(SHOWN) {
            let _ = writeln!(text, "      {}", describe_entry(entry, now));
        }
        if left > SHOWN {
            let _ = writeln!(text, "      and {} more", left - SHOWN);
        }
    }
    text
}

fn describe_entry(entry: &Entry, now: Time) -> String {
    let stands = match &entry.phase {
        Phase::Ready => "ready".to_owned(),
        Phase::Delayed(until) => format!("delayed for {:?}", until.saturating_sub(now)),
        Phase::Held(holding) => {
            let whose = format!("held by session {}", holding.session);
            let lost = if holding.ack_lost { ", its ack was lost" } else { "" };
            match holding.until {
                Some(until) => format!("{whose} for {:?}{lost}", until.saturating_sub(now)),
                None => format!("{whose} while that lives{lost}"),
            }
        }
    };
    let (stored, deliveries) = (&entry.stored, entry.deliveries);
    format!("{} ({}): {stands}, {deliveries} deliveries", stored.position, stored.id)
}

/// How many messages of a group are described one by one.
const SHOWN: usize = 20;
