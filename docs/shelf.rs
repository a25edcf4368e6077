//! A broker of our own: queues in this process's memory.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use steadfast::{
    Delivery, Message, Origin, Receipt,
    broker::{
        Broker, BrokerError, Capabilities, Demand, Publish, PublishError, Settle, SettleError,
        Settlement, Source, Subscription,
    },
};
use tokio::sync::Notify;

/// Queues by name. Clones share them.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queues: Mutex<HashMap<String, VecDeque<Parcel>>>,
    /// Something came, or somebody stops.
    changed: Notify,
}

/// A message and its place, by which it is found again in the order of publishing.
#[derive(Clone)]
struct Parcel {
    place: u64,
    message: Message,
}

/// One session.
struct ShelfSource {
    shelf: Shelf,
    queue: String,
    /// In every receipt, so that one of another session settles nothing here.
    epoch: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is unsettled, by its receipt's tag.
    held: BTreeMap<u64, Parcel>,
    next_tag: u64,
    stopped: bool,
    closed: bool,
}

static NUMBERS: AtomicU64 = AtomicU64::new(1);

fn number() -> u64 {
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    /// Makes a queue.
    pub fn make(&self, queue: &str) {
        locked(&self.0.queues).entry(queue.to_owned()).or_default();
    }

    /// What waits in a queue, and is held by nobody.
    pub fn waiting(&self, queue: &str) -> Vec<Message> {
        let queues = locked(&self.0.queues);
        queues.get(queue).into_iter().flatten().map(|parcel| parcel.message.clone()).collect()
    }

    fn look(&self, queue: &str) -> Result<(), BrokerError> {
        match locked(&self.0.queues).contains_key(queue) {
            true => Ok(()),
            false => {
                Err(BrokerError::Misconfigured(format!("there is no queue `{queue}`: make it")))
            }
        }
    }

    /// Puts parcels where they were, before what came later.
    fn put_back(&self, queue: &str, parcels: impl IntoIterator<Item = Parcel>) {
        let mut queues = locked(&self.0.queues);
        let queue = queues.entry(queue.to_owned()).or_default();
        for parcel in parcels {
            let behind = queue.partition_point(|waiting| waiting.place < parcel.place);
            queue.insert(behind, parcel);
        }
        drop(queues);
        self.0.changed.notify_waiters();
    }
}

#[async_trait]
impl Broker for Shelf {
    fn system(&self) -> &'static str {
        "shelf"
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Source>, BrokerError> {
        self.look(&subscription.source)?;
        Ok(Arc::new(ShelfSource {
            shelf: self.clone(),
            queue: subscription.source.clone(),
            epoch: number(),
            state: Mutex::default(),
        }))
    }

    async fn publisher(&self) -> Result<Arc<dyn Publish>, BrokerError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Publish for Shelf {
    async fn publish(&self, destination: &str, message: &Message) -> Result<(), PublishError> {
        self.look(destination).map_err(|missing| PublishError::Unavailable(missing.into()))?;
        self.put_back(destination, [Parcel { place: number(), message: message.clone() }]);
        Ok(())
    }

    async fn check(&self, destination: &str) -> Result<(), BrokerError> {
        self.look(destination)
    }
}

impl ShelfSource {
    /// Whatever fits, from the front. `None` while there is nothing.
    fn take(&self, demand: Demand) -> Result<Option<Vec<Delivery>>, BrokerError> {
        let mut state = locked(&self.state);
        if state.closed {
            return Err(BrokerError::unavailable("the session is closed"));
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        let mut queues = locked(&self.shelf.0.queues);
        let Some(queue) = queues.get_mut(&self.queue) else {
            return Err(BrokerError::unavailable("the queue has gone"));
        };
        while !state.stopped && taken.len() < demand.messages && bytes < demand.bytes {
            let Some(parcel) = queue.pop_front() else { break };
            bytes += parcel.message.size();
            taken.push(self.hand_out(&mut state, parcel));
        }
        Ok((state.stopped || !taken.is_empty()).then_some(taken))
    }

    fn hand_out(&self, state: &mut State, parcel: Parcel) -> Delivery {
        state.next_tag += 1;
        let mut origin = Origin::new(&*self.queue);
        origin.message_id = Some(parcel.place.to_string());
        let receipt = Receipt::new(self.epoch, state.next_tag);
        let delivery = Delivery::new(parcel.message.clone(), origin, receipt);
        state.held.insert(state.next_tag, parcel);
        delivery
    }

    fn settle_one(&self, settle: &Settle) -> Result<(), SettleError> {
        let receipt = settle.receipt;
        let held = match receipt.epoch == self.epoch {
            true => locked(&self.state).held.remove(&receipt.tag),
            false => None,
        };
        let parcel = held.ok_or(SettleError::Stale)?;
        match settle.settlement {
            Settlement::Ack => {}
            // It claims no delay, so a consumer asks for one only as the last resort.
            _ => self.shelf.put_back(&self.queue, [parcel]),
        }
        Ok(())
    }

    /// What it holds goes to others, also when nobody has closed it.
    fn end(&self) {
        let mut state = locked(&self.state);
        state.closed = true;
        let held = std::mem::take(&mut state.held);
        drop(state);
        self.shelf.put_back(&self.queue, held.into_values());
    }
}

#[async_trait]
impl Source for ShelfSource {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.stable_message_ids = true;
        capabilities
    }

    async fn receive(&self, demand: Demand) -> Result<Vec<Delivery>, BrokerError> {
        loop {
            // Asked for before the look, so that nothing comes between.
            let changed = self.shelf.0.changed.notified();
            if let Some(taken) = self.take(demand)? {
                return Ok(taken);
            }
            changed.await;
        }
    }

    async fn settle(&self, batch: &[Settle]) -> Vec<Result<(), SettleError>> {
        batch.iter().map(|settle| self.settle_one(settle)).collect()
    }

    async fn stop(&self) {
        locked(&self.state).stopped = true;
        self.shelf.0.changed.notify_waiters();
    }

    async fn close(&self) {
        self.end();
    }

    async fn backlog(&self) -> Result<Option<u64>, BrokerError> {
        Ok(u64::try_from(self.shelf.waiting(&self.queue).len()).ok())
    }
}

impl Drop for ShelfSource {
    fn drop(&mut self) {
        self.end();
    }
}
