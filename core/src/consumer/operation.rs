//! The tasks of a running consumer, and how they are brought to an end.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::{
    Consumer, RunError,
    builder::Remembering,
    crew,
    desk::Desk,
    flights::Flights,
    health::Life,
    intake::Intake,
    lanes::Lanes,
    policy::Policy,
    room::Room,
    session::Session,
    settler::Settler,
    watchdog::{self, Progress},
};
use crate::{
    Cancellation, Cancelled,
    breaker::Breaker,
    broker::{Capabilities, Publish},
    idempotency::Leases,
    middleware::{DeadLetters, Decider, Meters},
    store::Store,
};

/// What the middleware of a running consumer share.
pub(crate) struct Parts {
    pub(crate) policy: Arc<Policy>,
    pub(crate) system: &'static str,
    pub(crate) source: Capabilities,
    pub(crate) room: Room,
    pub(crate) decider: Decider,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) memory: Option<(Remembering, Arc<Leases>)>,
    pub(crate) meters: Arc<Meters>,
}

/// A consumer at work. Dropping it stops everything at once.
pub(crate) struct Operation {
    policy: Arc<Policy>,
    flights: Arc<Flights>,
    desk: Arc<Desk>,
    draining: Cancellation,
    deadline: Cancellation,
    progress: Arc<Progress>,
    intake: JoinSet<Result<(), RunError>>,
    /// None of these ends by itself unless something is wrong.
    others: JoinSet<RunError>,
    _life: Life,
}

impl Operation {
    pub(crate) fn begin(
        consumer: Consumer,
        publisher: Arc<dyn Publish>,
        session: Arc<Session>,
    ) -> Self {
        let subscription = consumer.subscription();
        let Consumer {
            policy, broker, memory, assemble, facts, health, bell, chance, life, ..
        } = consumer;
        drop(consumer.not_connected);
        let (draining, deadline) = (Cancellation::new(), Cancellation::new());
        let meters = Meters::new(&policy.name);
        let progress = Arc::new(Progress::default());
        let flights =
            Flights::new(policy.max_in_flight(), policy.max_in_flight_bytes, Arc::clone(&bell));
        let lanes = Lanes::new(policy.concurrency, Arc::clone(&bell));
        let breaker =
            Breaker::new(policy.breaker.clone(), Arc::clone(&bell), health.clone(), chance.clone());
        let share = policy.waiting_share();
        let room = Room::new(
            Arc::clone(&lanes),
            health.clone(),
            (draining.clone(), deadline.clone()),
            share,
            chance.clone(),
        );
        let (leaving, left) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk { lanes, leaving });

        let mut others = JoinSet::new();
        let memory = memory.map(|memory| {
            let store = Arc::clone(&memory.store);
            let leases = Leases::new(Arc::clone(&store), policy.lease, policy.lease_cap);
            let renewing = Arc::clone(&leases);
            others.spawn(async move { renewing.run().await });
            others.spawn(reap(store));
            (memory, leases)
        });
        let work = assemble(Parts {
            policy: Arc::clone(&policy),
            system: broker.system(),
            source: session.capabilities().clone(),
            room: room.clone(),
            decider: Decider {
                retry: Arc::new(policy.retry.clone()),
                breaker: Arc::clone(&breaker),
                chance: chance.clone(),
            },
            dead_letters: DeadLetters {
                publisher,
                destination: policy.dead_letter.as_str().into(),
                consumer: policy.name.as_str().into(),
                group: policy.group.as_str().into(),
                room,
            },
            memory,
            meters: Arc::clone(&meters),
        });
        let settler = Settler {
            flights: Arc::clone(&flights),
            health: health.clone(),
            meters: Arc::clone(&meters),
            chance: chance.clone(),
            draining: draining.clone(),
            hold: session.hold(),
        };
        others.spawn(settler.run(left));
        others.spawn(crew::run(work, Arc::clone(&desk), policy.max_in_flight()));
        others.spawn(watchdog::run(Arc::clone(&progress), meters, policy.stalled_after));
        let mut intake = JoinSet::new();
        let receiving = Intake {
            broker,
            subscription,
            policy: Arc::clone(&policy),
            facts,
            flights: Arc::clone(&flights),
            desk: Arc::clone(&desk),
            health,
            breaker,
            bell,
            draining: draining.clone(),
            progress: Arc::clone(&progress),
            chance,
        };
        intake.spawn(receiving.run(session));
        Self { policy, flights, desk, draining, deadline, progress, intake, others, _life: life }
    }

    /// Waits until something ends that should not. Cancel safe.
    pub(crate) async fn failure(&mut self) -> RunError {
        let died = |error| RunError::Internal(format!("a task of the consumer died: {error}"));
        tokio::select! {
            biased;
            Some(ended) = self.intake.join_next() => match ended {
                Ok(Ok(())) => RunError::Internal("intake ended by itself".into()),
                Ok(Err(error)) => error,
                Err(error) => died(error),
            },
            Some(ended) = self.others.join_next() => ended.unwrap_or_else(died),
        }
    }

    /// Receives no more, gives back what has not started, lets what runs finish until the drain
    /// deadline, then cancels it and gives it back.
    pub(crate) async fn drain(mut self) -> Result<(), RunError> {
        /// Time for the settlements of what was cancelled.
        const SETTLING: Duration = Duration::from_secs(5);
        self.draining.trip(Cancelled::Shutdown);
        self.desk.close();
        let flights = Arc::clone(&self.flights);
        let landed = async {
            while self.intake.join_next().await.is_some() {}
            flights.empty().await;
        };
        if timeout(self.policy.drain, landed).await.is_err() {
            tracing::warn!(deliveries = flights.len(), "drain deadline: cancelling what runs");
            self.deadline.trip(Cancelled::Shutdown);
            flights.cancel(Cancelled::Shutdown, None);
            let _ = timeout(self.policy.grace.saturating_add(SETTLING), flights.empty()).await;
        }
        if let Some(session) = self.progress.session() {
            session.close().await;
        }
        match flights.len() {
            0 => Ok(()),
            deliveries => Err(RunError::Abandoned { deliveries }),
        }
    }
}

/// Removes expired records, a few at a time.
async fn reap(store: Arc<dyn Store>) -> RunError {
    const PAUSE: Duration = Duration::from_secs(60);
    const BATCH: usize = 500;
    loop {
        tokio::time::sleep(PAUSE).await;
        while store.reap(BATCH).await.is_ok_and(|reaped| reaped == BATCH) {
            tokio::task::yield_now().await;
        }
    }
}
