//! A topic: everything published to it, and a queue of it for each consumer group.

use std::{collections::BTreeMap, sync::Arc};

use steadfast::Message;

use crate::{
    config::Config,
    queue::{GroupQueue, Stored, Time},
};

pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) messages: Vec<Arc<Stored>>,
    pub(crate) groups: BTreeMap<String, GroupQueue>,
    /// Copies take positions too, so that positions have holes for any one reader, as real ones do.
    next_position: u64,
}

impl Topic {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), messages: Vec::new(), groups: BTreeMap::new(), next_position: 0 }
    }

    /// Appends a message for all groups.
    pub(crate) fn publish(&mut self, message: Message, id: String, now: Time, forgets: bool) {
        let stored = self.store(message, id, now);
        for queue in self.groups.values_mut() {
            queue.push(Arc::clone(&stored), None);
        }
        if !forgets || self.groups.is_empty() {
            self.messages.push(stored);
        }
    }

    /// Whether anything was ever published.
    pub(crate) fn was_used(&self) -> bool {
        self.next_position > 0
    }

    /// The queue of a group. A new group begins with the earliest message.
    pub(crate) fn group(&mut self, name: &str, config: &Config) -> &mut GroupQueue {
        self.groups.entry(name.to_owned()).or_insert_with(|| {
            let mut queue = GroupQueue::new(config.ordered, config.delivery_limit);
            for stored in &self.messages {
                queue.push(Arc::clone(stored), None);
            }
            if config.forgets_settled {
                self.messages = Vec::new();
            }
            queue
        })
    }

    /// Appends a retry copy for one group only.
    pub(crate) fn copy(&mut self, group: &str, message: Message, id: String, times: (Time, Time)) {
        let (now, due) = times;
        let stored = self.store(message, id, now);
        if let Some(queue) = self.groups.get_mut(group) {
            queue.push(stored, Some(due));
        }
    }

    fn store(&mut self, message: Message, id: String, published: Time) -> Arc<Stored> {
        let position = format!("{}/{}", self.name, self.next_position);
        self.next_position += 1;
        Arc::new(Stored { message, id, position, published })
    }
}
