//! Stopping is not failing (P9): what runs ends, what does not is handed back at once, with its
//! attempt.

use std::time::Duration;

use steadfast::Cancelled;
use tokio::time::Instant;

use crate::broker::{
    BrokerHarness, Proof, Stage,
    ledger::{End, Ledger},
    script::{Gate, hang, script, succeed, transient, wait_at},
    topic::limited_hold,
};

pub async fn a_stop_lets_finish_what_runs(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "finish").await;
    let gate = Gate::closed();
    let member = stage.start(stage.consumer("one", wait_at(&gate)).drain(stage.longest_wait()));
    stage.topic.publish_all(&["m1", "m2"]).await;
    stage.until("both run", |ledger| ledger.runs().len() == 2).await;
    member.begin_stop();
    gate.open();
    member.ended().await.expect("a consumer that is stopped ends well");
    assert!(stage.ledger.have_succeeded(&["m1", "m2"]));
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_stop_hands_back_what_has_not_started(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "hand-back").await;
    let gate = Gate::closed();
    let policy = stage.consumer("one", wait_at(&gate)).concurrency(1).max_in_flight(8);
    let one = stage.start(stage.remembering(policy));
    let texts = ["m1", "m2", "m3", "m4", "m5"];
    stage.topic.publish_all(&texts).await;
    stage.until("one runs", |ledger| ledger.runs().len() == 1).await;
    one.begin_stop();
    gate.open();
    one.ended().await.expect("a consumer that is stopped ends well");
    let stopped = Instant::now();
    let two = stage.start(stage.remembering(stage.consumer("two", succeed())));
    stage.until_succeeded(&texts).await;
    assert_promptly(&stage, stopped);
    two.stop().await;
    for text in texts {
        assert_eq!(stage.ledger.attempts_of(text), [1], "{text:?} has run once, as the first");
    }
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_handler_that_never_ends_is_cancelled_at_the_drain_deadline(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "deadline").await;
    let policy = stage.consumer("one", hang()).drain(stage.delay()).grace(stage.delay() / 10);
    let one = stage.start(stage.remembering(policy));
    stage.topic.publish("m1").await;
    stage.until("it runs", |ledger| ledger.runs().len() == 1).await;
    one.stop().await;
    let ended = stage.ledger.runs_of("m1")[0].ended;
    assert!(matches!(ended, Some((_, End::Dropped))), "it was cancelled: {ended:?}");
    let stopped = Instant::now();
    let two = stage.start(stage.remembering(stage.consumer("two", succeed())));
    stage.until_succeeded(&["m1"]).await;
    assert_promptly(&stage, stopped);
    two.stop().await;
    assert_eq!(stage.ledger.attempts_of("m1"), [1, 1], "the attempt was given back");
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_handler_learns_that_it_should_stop(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "token").await;
    let act = script(|call| async move {
        // One that listens has the grace to end well.
        match call.cancellation.cancelled().await {
            Cancelled::Shutdown => Ok(()),
            _ => Err(transient()),
        }
    });
    let policy = stage.consumer("one", act).drain(stage.delay());
    let member = stage.start(stage.remembering(policy));
    stage.topic.publish("m1").await;
    stage.until("it runs", |ledger| ledger.runs().len() == 1).await;
    member.stop().await;
    assert!(stage.ledger.has_succeeded("m1"));
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// A long job must survive any number of deployments.
pub async fn stops_use_up_no_attempt(harness: &dyn BrokerHarness) -> Proof {
    /// More than there are attempts.
    const STOPS: usize = 4;
    let stage = Stage::new(harness, "stops").await;
    stage.topic.publish("m1").await;
    for stop in 1..=STOPS {
        let policy = stage.consumer("again", hang()).drain(Duration::ZERO).grace(Duration::ZERO);
        let member = stage.start(stage.remembering(policy));
        stage.until("it runs", |ledger| ledger.runs().len() == stop).await;
        member.stop().await;
    }
    let last = stage.start(stage.remembering(stage.consumer("last", succeed())));
    stage.until_succeeded(&["m1"]).await;
    last.stop().await;
    assert_eq!(stage.ledger.attempts_of("m1"), [1; STOPS + 1]);
    stage.topic.assert_nothing_is_left().await;
    let letters = stage.lying_dead().await?;
    assert!(letters.is_empty(), "a stop is no reason to give a message up: {letters:?}");
    Ok(())
}

pub async fn a_message_that_waits_for_its_retry_is_handed_back(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "stop-a-wait").await;
    let act = script(|call| async move { if call.run == 1 { Err(transient()) } else { Ok(()) } });
    let policy = stage.consumer("one", act.clone()).retry(stage.late_retry());
    let one = stage.start(stage.remembering(policy));
    stage.topic.publish("m1").await;
    let failed = |ledger: &Ledger| ledger.runs().first().is_some_and(|run| run.ended.is_some());
    stage.until("it has failed once", failed).await;
    one.stop().await;
    assert_eq!(stage.ledger.runs().len(), 1, "a stop does not wait for the retry");
    let two = stage.start(stage.remembering(stage.consumer("two", act)));
    stage.until_succeeded(&["m1"]).await;
    two.stop().await;
    assert_eq!(stage.ledger.attempts_of("m1"), [1, 2], "the failed attempt counts");
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// Handed back, and not left to a hold that ends some time.
fn assert_promptly(stage: &Stage<'_>, stopped: Instant) {
    if let Some(hold) = limited_hold(&stage.capabilities) {
        let waited = stopped.elapsed();
        assert!(waited < hold, "it came after {waited:?}, when its hold of {hold:?} had ended");
    }
}
