//! A store with faults around another store.

use std::{
    any::Any,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use steadfast::store::{
    Answer, Claim, Lent, Note, Record, RecordId, Store, StoreError, Token, Written,
};

use crate::crash::Crash;

/// Any [`Store`], with faults. Clones share the store, the faults and the crash.
///
/// A lent transaction is handed through as it is, since a handler finds it by its type: its
/// completion meets no fault.
///
/// ```
/// use steadfast::store::MemoryStore;
/// use steadfast_mock::{Call, FaultyStore, StorePoint};
///
/// let store = FaultyStore::new(MemoryStore::new());
/// store.lose_replies(1);
/// store.crash_at(StorePoint::After(Call::Claim));
/// ```
pub struct FaultyStore<S>(Arc<Inner<S>>);

struct Inner<S> {
    store: S,
    plan: Mutex<Plan>,
    crash: Crash<StorePoint>,
}

#[derive(Default)]
struct Plan {
    down: bool,
    lost_replies: u32,
    chance: Option<(StdRng, f64)>,
}

/// A write to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// [`Store::claim`].
    Claim,
    /// [`Store::extend`].
    Extend,
    /// [`Store::complete`].
    Complete,
    /// [`Store::fail`].
    Fail,
    /// [`Store::release`].
    Release,
    /// [`Store::bury`].
    Bury,
    /// [`Store::rearm`].
    Rearm,
}

/// Where a call can be made to crash; see [`Point`](crate::Point).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StorePoint {
    /// The call is not made.
    Before(Call),
    /// The call is made, and its reply never comes.
    After(Call),
}

impl<S> FaultyStore<S> {
    /// A store without faults so far.
    pub fn new(store: S) -> Self {
        Self(Arc::new(Inner { store, plan: Mutex::default(), crash: Crash::default() }))
    }

    /// The store within.
    pub fn inner(&self) -> &S {
        &self.0.store
    }

    /// From now on all calls are answered with [`StoreError::Unavailable`] and not made.
    pub fn take_down(&self) {
        self.0.plan().down = true;
    }

    /// Ends [`FaultyStore::take_down`].
    pub fn bring_up(&self) {
        self.0.plan().down = false;
    }

    /// The next `n` calls are made, and answered with [`StoreError::Unavailable`].
    pub fn lose_replies(&self, n: u32) {
        self.0.plan().lost_replies += n;
    }

    /// From now on calls fail at random with this probability, half of them made and half of them
    /// not, as the seed decides.
    ///
    /// # Panics
    /// When the probability is not between 0 and 1.
    pub fn fail_randomly(&self, seed: u64, probability: f64) {
        assert!((0.0..=1.0).contains(&probability), "{probability} is not a probability");
        self.0.plan().chance = Some((StdRng::seed_from_u64(seed), probability));
    }

    /// Ends all faults.
    pub fn calm(&self) {
        *self.0.plan() = Plan::default();
    }

    /// Crashes when this point is next reached: the call never returns, and
    /// [`FaultyStore::crashed`] resolves. Other calls go on, since other processes may make them:
    /// drop the consumer.
    pub fn crash_at(&self, point: StorePoint) {
        self.crash_at_hit(point, 0);
    }

    /// Crashes when this point is reached, after it has been passed `skip` times.
    pub fn crash_at_hit(&self, point: StorePoint, skip: u32) {
        self.0.crash.arm(point, skip);
    }

    /// Waits until the crash that was asked for last has happened. Cancel safe.
    pub async fn crashed(&self) {
        self.0.crash.crashed().await;
    }
}

#[async_trait]
impl<S: Store> Store for FaultyStore<S> {
    fn lends_transactions(&self) -> bool {
        self.0.store.lends_transactions()
    }

    fn is_durable(&self) -> bool {
        self.0.store.is_durable()
    }

    async fn claim(&self, claim: &Claim) -> Result<Answer, StoreError> {
        self.0.call(Call::Claim, self.0.store.claim(claim)).await
    }

    async fn extend(
        &self,
        id: &RecordId,
        token: &Token,
        lease: Duration,
    ) -> Result<Written, StoreError> {
        self.0.call(Call::Extend, self.0.store.extend(id, token, lease)).await
    }

    async fn complete(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        self.0.call(Call::Complete, self.0.store.complete(id, token)).await
    }

    async fn fail(
        &self,
        id: &RecordId,
        token: &Token,
        after: Duration,
        note: &Note,
    ) -> Result<Written, StoreError> {
        self.0.call(Call::Fail, self.0.store.fail(id, token, after, note)).await
    }

    async fn release(&self, id: &RecordId, token: &Token) -> Result<Written, StoreError> {
        self.0.call(Call::Release, self.0.store.release(id, token)).await
    }

    async fn bury(&self, id: &RecordId, token: &Token, note: &Note) -> Result<Written, StoreError> {
        self.0.call(Call::Bury, self.0.store.bury(id, token, note)).await
    }

    async fn rearm(&self, id: &RecordId, fence: Option<u64>) -> Result<Written, StoreError> {
        self.0.call(Call::Rearm, self.0.store.rearm(id, fence)).await
    }

    async fn look(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.0.up()?;
        self.0.store.look(id).await
    }

    async fn reap(&self, limit: usize) -> Result<usize, StoreError> {
        self.0.up()?;
        self.0.store.reap(limit).await
    }

    fn lend(&self, id: &RecordId, token: &Token) -> Option<Box<dyn Lent>> {
        let inner = self.0.store.lend(id, token)?;
        Some(Box::new(FaultyLent { store: Arc::clone(&self.0), inner }))
    }
}

/// A lent transaction whose commit takes the faults of [`Call::Complete`], and which a store that
/// is down has lost.
struct FaultyLent<S> {
    store: Arc<Inner<S>>,
    inner: Box<dyn Lent>,
}

#[async_trait]
impl<S: Store> Lent for FaultyLent<S> {
    async fn complete(self: Box<Self>) -> Result<Written, StoreError> {
        let Self { store, inner } = *self;
        store.call(Call::Complete, inner.complete()).await
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self.inner.as_any_mut()
    }

    async fn roll_back(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.roll_back().await?;
        self.store.up()
    }
}

impl<S> Inner<S> {
    /// Makes a call, or a part of it.
    async fn call<R>(
        &self,
        call: Call,
        made: impl Future<Output = Result<R, StoreError>>,
    ) -> Result<R, StoreError> {
        self.crash.pass(StorePoint::Before(call)).await;
        self.up()?;
        let fate = self.plan().fate();
        if fate == Fate::NotMade {
            return Err(StoreError::unavailable("the store could not be reached"));
        }
        let reply = made.await;
        self.crash.pass(StorePoint::After(call)).await;
        match fate {
            Fate::ReplyLost => Err(StoreError::unavailable("the store's reply was lost")),
            _ => reply,
        }
    }

    fn up(&self) -> Result<(), StoreError> {
        if self.plan().down { Err(StoreError::unavailable("the store is down")) } else { Ok(()) }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a call.
#[derive(PartialEq, Eq)]
enum Fate {
    Answered,
    NotMade,
    ReplyLost,
}

impl Plan {
    fn fate(&mut self) -> Fate {
        if self.lost_replies > 0 {
            self.lost_replies -= 1;
            return Fate::ReplyLost;
        }
        let Some((rng, probability)) = &mut self.chance else { return Fate::Answered };
        match (rng.random_bool(*probability), rng.random_bool(0.5)) {
            (false, _) => Fate::Answered,
            (true, true) => Fate::NotMade,
            (true, false) => Fate::ReplyLost,
        }
    }
}

impl<S> Clone for FaultyStore<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for FaultyStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").field("down", &self.0.plan().down).finish_non_exhaustive()
    }
}
