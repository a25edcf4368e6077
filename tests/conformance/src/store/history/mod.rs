//! Random histories, each answer checked against a model of the contract.
//!
//! Workers claim a few keys, pause beyond their leases, crash before and after calls, repeat calls
//! whose reply was lost, and wake up with stale tokens. The model knows what each answer must be: that
//! no stale write is taken, that fences grow with every claim of a key, that attempts are the claims
//! granted less those given back, that two owners never hold one record, and that what was done in a
//! lent transaction happens once if it was completed and never if it was not.
//!
//! The same seed gives the same history, so that two stores can be compared:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! use steadfast_conformance::store::{MemoryHarness, history};
//!
//! let one = history::run(&MemoryHarness::new(), 7, 200).await;
//! let other = history::run(&MemoryHarness::new(), 7, 200).await;
//! assert_eq!(one, other);
//! # });
//! # Ok::<_, std::io::Error>(())
//! ```

mod call;
mod model;
mod plan;
mod row;
mod step;
mod worker;

use futures::future::join_all;

pub use self::step::Step;
use self::{call::Call, model::Model, plan::Plan};
use super::{Records, StoreHarness};

/// Runs a history of this many steps.
///
/// # Panics
/// At the first answer that the contract does not allow, with the seed and the last steps.
pub async fn check(harness: &impl StoreHarness, seed: u64, steps: usize) {
    run(harness, seed, steps).await;
}

/// Runs a history of at least this many steps and says what happened. Times and fences are left out:
/// stores may differ in them.
///
/// # Panics
/// As [`check`].
pub async fn run(harness: &impl StoreHarness, seed: u64, steps: usize) -> Vec<Step> {
    let records = Records::new(harness).await;
    let tick = call::tick(harness);
    let mut model = Model::new(tick, records.store.lends_transactions());
    let mut plan = Plan::new(seed, tick);
    let mut trail = Vec::new();
    while trail.len() < steps {
        // The calls of a round are of different keys: they meet in the store, and their answers do
        // not depend on which comes first.
        let round = plan.next_round(&model);
        let replies = join_all(round.iter().map(|call| call.make(&records))).await;
        for (call, reply) in round.iter().zip(&replies) {
            trail.push(Step::new(call, reply));
            let mut checked = model.check(call, reply);
            if checked.is_ok() {
                checked = check_traces(&records, &model, call).await;
            }
            if let Err(wrong) = checked {
                fail(seed, &trail, &wrong);
            }
            plan.learn(call, reply, &model);
        }
    }
    trail
}

/// Checks what a call has left behind: the record and the effects.
async fn check_traces<H: StoreHarness>(
    records: &Records<'_, H>,
    model: &Model,
    call: &Call,
) -> Result<(), String> {
    if let Some(key) = call.key() {
        model.check_record(key, records.look(&call::id(records, key)).await.as_ref())?;
    }
    if let Call::Work { worker, .. } = call
        && records.store.lends_transactions()
    {
        let found = records.harness.effects(&worker.effect(records)).await;
        row::same("effects", model.effects(worker), found)?;
    }
    Ok(())
}

fn fail(seed: u64, trail: &[Step], wrong: &str) -> ! {
    let last = trail.iter().enumerate().skip(trail.len().saturating_sub(30));
    let lines: String = last.map(|(number, step)| format!("\n{number:6}  {step}")).collect();
    panic!("history of seed {seed}: {wrong}\nthe last steps were{lines}")
}
