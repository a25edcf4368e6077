use std::sync::Arc;

use proptest::prelude::*;
use tokio::{
    sync::Notify,
    time::{advance, timeout},
};

use super::*;

fn breaker(policy: BreakerPolicy) -> Arc<Breaker> {
    let bell = Arc::new(Notify::new());
    Breaker::new(policy, Arc::clone(&bell), Health::new("test", bell), Chance::new(Some(1)))
}

#[derive(Debug, Clone)]
enum Step {
    Succeed,
    Fail { first: bool },
    Unavailable,
    Admit,
    EndProbe,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        Just(Step::Succeed),
        any::<bool>().prop_map(|first| Step::Fail { first }),
        Just(Step::Unavailable),
        Just(Step::Admit),
        Just(Step::EndProbe),
        (0u64..60).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..80)
}

async fn walk(steps: Vec<Step>) {
    let breaker = breaker(BreakerPolicy::default().failure_ratio(1.0, 5));
    let mut probes = Vec::new();
    let mut failures_in_a_row = 0;
    for step in steps {
        match step {
            Step::Succeed => {
                breaker.succeeded();
                failures_in_a_row = 0;
                assert_eq!(breaker.intake(1), Intake::Free, "a success closes it");
            }
            Step::Fail { first } => {
                let was_open = breaker.dependency().is_some();
                failures_in_a_row += usize::from(first && !was_open);
                let outage = breaker.failed(first).is_some();
                let open = breaker.dependency().is_some();
                assert!(open || !outage);
                assert!(outage || !open || !probes.is_empty(), "only a probe's failure is its own");
                assert!(was_open || !outage || failures_in_a_row >= 5, "opened too early");
            }
            Step::Unavailable => {
                breaker.unavailable("db".into());
                assert!(breaker.dependency().is_some());
            }
            Step::Admit => {
                if let Some(pass) = breaker.try_admit() {
                    assert_eq!(pass.probe_of.is_some(), breaker.dependency().is_some());
                    probes.extend(Some(pass).filter(|pass| pass.probe_of.is_some()));
                }
            }
            Step::EndProbe => probes.clear(),
            Step::Pass(seconds) => advance(Duration::from_secs(seconds)).await,
        }
        let down = !breaker.health.is_ready();
        assert_eq!(down, breaker.dependency().is_some(), "readiness tells of an open breaker");
    }
    // Whatever has happened, a success that comes through closes it for good.
    probes.clear();
    advance(Duration::from_secs(61)).await;
    assert!(breaker.try_admit().is_some(), "a probe is let through in the end");
    breaker.succeeded();
    assert!(breaker.try_admit().is_some_and(|pass| pass.probe_of.is_none()));
}

proptest! {
    #[test]
    fn it_opens_on_evidence_probes_one_by_one_and_closes_on_success(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(walk(steps));
    }
}

#[tokio::test(start_paused = true)]
async fn one_probe_at_a_time() {
    let breaker = breaker(BreakerPolicy::default());
    breaker.unavailable("db".into());
    assert!(breaker.try_admit().is_none(), "open");
    advance(Duration::from_secs(31)).await;
    let probe = breaker.try_admit().unwrap();
    assert!(breaker.try_admit().is_none(), "a second probe");
    drop(probe);
    assert!(breaker.try_admit().is_some(), "a probe without a verdict makes way");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_makes_way_for_another_and_ends_for_itself_alone() {
    let breaker = breaker(BreakerPolicy::default());
    breaker.unavailable("db".into());
    advance(Duration::from_secs(31)).await;
    let hangs = breaker.try_admit().unwrap();
    let waits = breaker.admit();
    let another = timeout(Duration::from_secs(61), waits).await.expect("it is let through");
    assert!(another.is_probe());
    drop(hangs);
    assert!(breaker.try_admit().is_none(), "the other one probes");
    drop(another);
    assert!(breaker.try_admit().is_some());
}
