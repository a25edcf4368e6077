//! Retries: as often as the policy says, not before their time, in place or in the broker (P7).

use std::time::{Duration, UNIX_EPOCH};

use steadfast::{
    Backoff, Outcome, Reason, Retry,
    broker::{Settle, Settlement},
};

use crate::broker::{
    BrokerHarness, Proof, Stage, Topic,
    script::{Script, script, succeed, transient},
    stage::Policy,
    verdict::needs,
    wait::CLOCK_DIFFERENCE,
};

use super::consume::extensible;

pub async fn a_failed_message_is_tried_again_until_it_succeeds(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "retry").await;
    let member = stage.start(stage.consumer("one", fail_times(2)));
    stage.topic.publish("m1").await;
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    assert_eq!(stage.ledger.attempts_of("m1"), [1, 2, 3]);
    assert_waited(&stage, "m1", stage.delay());
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_message_that_waits_in_the_broker_comes_after_its_delay(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "broker-wait").await;
    let policy = in_the_broker(&stage, stage.consumer("one", fail_times(2)))?;
    let member = stage.start(policy);
    stage.topic.publish("m1").await;
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    assert_waited(&stage, "m1", stage.delay());
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// Without a store the broker's count, or the one on our own copies, must do.
pub async fn attempts_are_counted_through_waits_in_the_broker(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "broker-count").await;
    let policy = in_the_broker(&stage, stage.consumer("one", fail_times(2)))?;
    let member = stage.start(policy);
    stage.topic.publish("m1").await;
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    assert_eq!(stage.ledger.attempts_of("m1"), [1, 2, 3]);
    Ok(())
}

pub async fn a_store_counts_attempts_through_waits_in_the_broker(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "store-count").await;
    let policy = in_the_broker(&stage, stage.consumer("one", fail_times(2)))?;
    let member = stage.start(stage.remembering(policy));
    stage.topic.publish("m1").await;
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    assert_eq!(stage.ledger.attempts_of("m1"), [1, 2, 3]);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// It names the source for which it was made, where nobody consumes any more.
pub async fn a_copy_that_others_have_moved_here_waits_and_comes_back_here(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "moved-copy").await;
    let policy = in_the_broker(&stage, stage.consumer("one", fail_times(1)))?;
    let elsewhere = Topic::fresh(harness, "first-origin").await;
    elsewhere.publish("m1").await;
    let mut session = elsewhere.session().await;
    let copy = Settle::new(session.next_is("m1").await, Settlement::Ack).retry_copy();
    session.close().await;
    let member = stage.start(policy);
    stage.topic.publish_message(copy).await;
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    assert_eq!(stage.ledger.runs_of("m1").len(), 2);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn attempts_that_wait_in_place_come_to_an_end(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "exhausted").await;
    let policy = stage.consumer("one", fail_times(usize::MAX));
    exhausts(&stage, policy).await
}

pub async fn attempts_that_wait_in_the_broker_come_to_an_end(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "exhausted-in-broker").await;
    let policy = in_the_broker(&stage, stage.consumer("one", fail_times(usize::MAX)))?;
    exhausts(&stage, policy).await
}

pub async fn a_message_that_waits_for_its_retry_holds_up_no_other(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "beside-a-wait").await;
    let act = script(|call| async move {
        if call.text == "fails" && call.run == 1 { Err(transient()) } else { Ok(()) }
    });
    stage.topic.publish_all(&["fails", "m1", "m2", "m3"]).await;
    let policy = stage.consumer("one", act).concurrency(1).retry(stage.late_retry());
    let member = stage.start(policy);
    stage.until_succeeded(&["fails", "m1", "m2", "m3"]).await;
    member.stop().await;
    let last = stage.ledger.succeeded().pop();
    assert_eq!(last.as_deref(), Some("fails"), "the others do not wait for the retry");
    Ok(())
}

/// Not to another consumer, and not sooner than it is due.
pub async fn a_wait_in_place_outlasts_the_hold(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "wait-in-place").await;
    let each = extensible(&stage)?;
    let wait = each * 2;
    let retry = Retry::with_backoff(Backoff::fixed(wait)).in_place_up_to(wait);
    let policy = |member| stage.consumer(member, fail_times(1)).retry(retry.clone());
    let (one, two) = (stage.start(policy("one")), stage.start(policy("two")));
    stage.topic.publish("m1").await;
    let limit = stage.longest_wait() + wait;
    stage.ledger.until(limit, "the retry has succeeded", |l| l.has_succeeded("m1")).await;
    one.stop().await;
    two.stop().await;
    let runs = stage.ledger.runs_of("m1");
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert_eq!(runs[0].member, runs[1].member, "who waits keeps its message");
    assert_waited(&stage, "m1", wait);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_wait_that_the_broker_cannot_keep_is_kept_all_the_same(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "beyond-the-broker").await;
    let longest = stage.capabilities.max_delay.unwrap_or_default();
    let wait = longest.saturating_mul(2).max(stage.delay());
    needs(wait <= harness.patience() / 4, "it keeps longer delays than the suite waits for")?;
    let retry = Retry::with_backoff(Backoff::fixed(wait)).in_place_up_to(Duration::ZERO);
    let member = stage.start(stage.consumer("one", fail_times(1)).retry(retry));
    stage.topic.publish("m1").await;
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    assert_waited(&stage, "m1", wait);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// A copy that waits looks to the handler like its original.
pub async fn a_handler_sees_the_same_message_in_every_attempt(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "same-face").await;
    let (seen, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let act = script(move |call| {
        let run = call.run;
        let origin = call.origin;
        // Brokers and copies know no finer time than milliseconds. Another position is no harm.
        let published = origin.published_at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let face = (origin.source, origin.message_id, published.map(|since| since.as_millis()));
        let kept = seen.send((call.message, face));
        async move {
            kept.map_err(|_| transient())?;
            if run < 3 { Err(transient()) } else { Ok(()) }
        }
    });
    let policy = in_the_broker(&stage, stage.consumer("one", act))?;
    let member = stage.start(stage.remembering(policy));
    let message = steadfast::Message::new("m1")
        .with_key("k")
        .with_header("b", "1")
        .with_header("a", "2")
        .with_header("b", "3");
    stage.topic.publish_message(message.clone()).await;
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    let first = calls.recv().await.expect("the first attempt");
    assert_eq!(first.0, message);
    for _ in 0..2 {
        assert_eq!(calls.recv().await.as_ref(), Some(&first));
    }
    Ok(())
}

async fn exhausts(stage: &Stage<'_>, policy: Policy) -> Proof {
    let member = stage.start(policy);
    stage.topic.publish("m1").await;
    let given_up = Outcome::DeadLettered(Reason::Exhausted);
    let what = "the message has been given up";
    stage.until(what, |ledger| ledger.outcomes_of("m1").contains(&given_up)).await;
    member.stop().await;
    assert_eq!(stage.ledger.attempts_of("m1"), [1, 2, 3]);
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// Waits in the broker, however short.
fn in_the_broker(stage: &Stage<'_>, policy: Policy) -> Result<Policy, crate::broker::NotProved> {
    let longest = stage.capabilities.max_delay;
    needs(longest.is_some_and(|longest| stage.delay() <= longest), "the broker cannot delay")?;
    Ok(policy.retry(stage.retry().in_place_up_to(Duration::ZERO)))
}

fn fail_times(times: usize) -> Script {
    if times == 0 {
        return succeed();
    }
    script(move |call| async move { if call.run <= times { Err(transient()) } else { Ok(()) } })
}

/// Between the end of each run and the beginning of the next so much time has passed.
fn assert_waited(stage: &Stage<'_>, text: &str, delay: Duration) {
    for pair in stage.ledger.runs_of(text).windows(2) {
        let (ended, _) = pair[0].ended.expect("a run has ended before the next begins");
        let waited = pair[1].began.at.duration_since(ended.at);
        assert!(waited + CLOCK_DIFFERENCE >= delay, "{waited:?} is not {delay:?}");
    }
}
