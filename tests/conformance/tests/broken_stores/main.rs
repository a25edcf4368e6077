//! The suite bites: each store here has one flaw, and the suite finds it.

mod flawed;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use steadfast::store::{Lent, Store};
use steadfast_conformance::store::{MemoryHarness, StoreHarness, cases, history};

use crate::flawed::{Flaw, Flawed};

/// Makes a test of each flaw, which names a case that must fail, and says whether histories find the
/// flaw too: some are outside of what histories do.
macro_rules! flaws {
    ($($test:ident: $flaw:ident by $case:literal and $histories:ident;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $test() {
            let found = examine(&harness(Flaw::$flaw)).await;
            found.report(stringify!($flaw));
            assert!(found.cases.iter().any(|name| name == $case), "{} passes", $case);
            assert_eq!(found.seed.is_some(), $histories, "histories: {:?}", found.seed);
        }
    )*};
}

flaws! {
    busy_answered_as_done: AnswersBusyAsDone
        by "claim::a_record_in_progress_answers_busy_for_the_rest_of_its_lease" and true;
    dead_answered_as_done: AnswersDeadAsDone
        by "claim::a_dead_record_answers_dead_with_its_last_fence" and true;
    stale_completions_taken: CompletesForStaleOwners
        by "fencing::a_stale_owner_cannot_complete" and true;
    long_keys_cut_short: CutsKeysShort
        by "keys::keys_of_every_length_have_records_of_their_own" and false;
    extensions_without_effect: ExtendsNothing
        by "lease::an_extension_renews_the_lease" and true;
    stale_extensions_taken: ExtendsForStaleOwners
        by "fencing::a_stale_owner_cannot_extend" and true;
    stale_failures_taken: FailsForStaleOwners
        by "fencing::a_stale_owner_cannot_fail" and true;
    fences_restarted_with_the_row: FencesBeginAgain
        by "retention::fences_do_not_begin_again_after_reaping" and true;
    attempts_forgotten_by_a_failure: ForgetsAttempts
        by "retry::a_failure_keeps_its_attempt" and true;
    history_forgotten: ForgetsHistory
        by "retry::a_failure_is_told_to_the_next_attempt" and true;
    the_owner_not_known_again: ForgetsOwners
        by "claim::the_same_owner_asking_again_gets_the_same_claim" and true;
    records_not_retained: ForgetsRetention
        by "claim::a_done_record_answers_done" and true;
    waits_not_kept: ForgetsWaits
        by "claim::a_failed_record_answers_not_yet_for_the_rest_of_its_wait" and true;
    transactions_without_a_fence: LendsToStaleOwners
        by "transaction::a_stale_owner_that_borrows_late_applies_nothing" and true;
    scopes_mixed: MixesScopes
        by "keys::scopes_do_not_hide_each_other" and false;
    reaping_without_limit: ReapsWithoutLimit
        by "retention::reaping_stops_at_its_limit" and false;
    any_dead_letter_rearms: RearmsForAnyFence
        by "dead::a_dead_letter_of_an_earlier_death_rearms_nothing" and true;
    attempts_kept_by_a_release: ReleasesAsFailures
        by "retry::a_release_gives_its_attempt_back" and true;
    fenced_writes_reported_as_applied: SaysAppliedWhenFenced
        by "fencing::a_stale_owner_cannot_bury" and true;
    conflicts_not_seen: SeesNoConflicts
        by "conflict::another_payload_is_a_conflict_when_the_record_is_done" and true;
    live_leases_taken_over: TakesOverLiveLeases
        by "at_once::of_many_claims_at_once_one_is_granted" and true;
    repeats_refused: TakesNoRepeats
        by "repeats::a_completion_may_be_repeated" and true;
}

#[tokio::test(start_paused = true)]
async fn no_flaw() {
    let found = examine(&harness(Flaw::None)).await;
    assert_eq!((found.cases, found.seed), (Vec::new(), None));
}

#[tokio::test(start_paused = true)]
async fn effects_outside_the_transaction() {
    let found = examine(&AutoCommit::default()).await;
    found.report("AutoCommit");
    let case = "transaction::a_transaction_rolled_back_leaves_the_claim_in_progress";
    assert!(found.cases.iter().any(|name| name == case), "{case} passes");
    assert!(found.seed.is_some());
}

/// What the suite complains of.
struct Found {
    cases: Vec<String>,
    seed: Option<u64>,
}

impl Found {
    /// Seen with `--nocapture`.
    fn report(&self, flaw: &str) {
        println!("{flaw}: the history of seed {:?}, and {:#?}", self.seed, self.cases);
    }
}

/// Runs everything, and goes on after what fails.
async fn examine(harness: &impl StoreHarness) -> Found {
    let mut found = Found { cases: Vec::new(), seed: None };
    for case in cases::all() {
        if AssertUnwindSafe(case.run(harness)).catch_unwind().await.is_err() {
            found.cases.push(format!("{}::{}", case.topic(), case.name()));
        }
    }
    for seed in 0..20 {
        let history = AssertUnwindSafe(history::check(harness, seed, 300));
        if history.catch_unwind().await.is_err() {
            found.seed = Some(seed);
            break;
        }
    }
    found
}

fn harness(flaw: Flaw) -> MemoryHarness {
    MemoryHarness::wrapping(move |store| Arc::new(Flawed::new(store, flaw)))
}

/// Commits each effect at once, whatever becomes of the transaction.
#[derive(Default)]
struct AutoCommit {
    memory: MemoryHarness,
    effects: Mutex<HashMap<String, usize>>,
}

impl AutoCommit {
    fn effects(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoreHarness for AutoCommit {
    async fn store(&self) -> Arc<dyn Store> {
        self.memory.store().await
    }

    async fn pass(&self, time: Duration) {
        self.memory.pass(time).await;
    }

    async fn effect(&self, _lent: &mut dyn Lent, name: &str) {
        *self.effects().entry(name.to_owned()).or_default() += 1;
    }

    async fn effects(&self, name: &str) -> usize {
        self.effects().get(name).copied().unwrap_or_default()
    }
}
