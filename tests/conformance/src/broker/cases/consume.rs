//! Whole consumers: every message is handled, and settled.

use std::time::Duration;

use steadfast::{HandlerError, Outcome, broker::Hold};

use crate::broker::{
    BrokerHarness, Proof, Stage,
    script::{Gate, script, succeed},
    verdict::{NotProved, needs},
};

pub async fn every_message_is_handled_and_settled(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "handled").await;
    let member = stage.start(stage.consumer("one", succeed()));
    let texts: Vec<String> = (0..100).map(|number| format!("m{number}")).collect();
    for text in &texts {
        stage.topic.publish(text).await;
    }
    stage.until_succeeded(&texts).await;
    member.stop().await;
    for text in &texts {
        assert_eq!(stage.ledger.attempts_of(text), [1], "{text:?} is handled once");
    }
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_message_that_the_filter_does_not_want_is_acked(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "ignored").await;
    let wants = |message: &steadfast::Message| message.payload.as_deref() != Some(b"unwanted");
    let member = stage.start(stage.consumer("one", succeed()).filter(wants));
    stage.topic.publish_all(&["unwanted", "wanted"]).await;
    stage.until_succeeded(&["wanted"]).await;
    let ignored = |outcomes: Vec<Outcome>| outcomes == [Outcome::Ignored];
    let what = "the other has been ignored";
    stage.until(what, |ledger| ignored(ledger.outcomes_of("unwanted"))).await;
    member.stop().await;
    assert!(stage.ledger.runs_of("unwanted").is_empty());
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// Each of two members waits in its first message until the other has one.
pub async fn the_members_of_a_group_share_the_messages(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "members").await;
    let both = Gate::closed();
    let policy = |member: &'static str| {
        let (both, ledger) = (both.clone(), stage.ledger.clone());
        let meet = script(move |_| {
            let (both, ledger) = (both.clone(), ledger.clone());
            async move {
                let members: Vec<_> = ledger.runs().iter().map(|run| run.member).collect();
                if members.contains(&"one") && members.contains(&"two") {
                    both.open();
                }
                both.passed().await;
                Ok(())
            }
        });
        // A broker that moves shares between members does not wait long for one that is at work.
        let policy = stage.consumer(member, meet).grace(stage.delay() / 4);
        policy.concurrency(1).max_in_flight(1)
    };
    let (one, two) = (stage.start(policy("one")), stage.start(policy("two")));
    let texts: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
    for text in &texts {
        stage.topic.publish(text).await;
    }
    stage.until_succeeded(&texts).await;
    one.stop().await;
    two.stop().await;
    stage.ledger.assert_never_at_once(|run| run.text.clone());
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// The consumer extends the holds of what is at work.
pub async fn a_handler_that_outlasts_the_hold_keeps_its_message(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "long-handler").await;
    let each = extensible(&stage)?;
    let work = script(move |_| async move {
        tokio::time::sleep(each * 5 / 2).await;
        Ok(())
    });
    let policy = |member| stage.consumer(member, work.clone()).timeout(each * 4).drain(each * 4);
    let (one, two) = (stage.start(policy("one")), stage.start(policy("two")));
    stage.topic.publish("m1").await;
    let limit = stage.longest_wait() + each * 3;
    stage.ledger.until(limit, "the long handler has ended", |l| l.has_succeeded("m1")).await;
    one.stop().await;
    two.stop().await;
    assert_eq!(stage.ledger.runs_of("m1").len(), 1, "nobody else got it meanwhile");
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// Its failure is no reason for others to run again.
pub async fn a_message_that_fails_leaves_the_others_alone(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "one-fails").await;
    let act = script(|call| async move {
        match call.text.as_str() {
            "bad" => Err(HandlerError::permanent("no such account")),
            _ => Ok(()),
        }
    });
    let member = stage.start(stage.consumer("one", act));
    stage.topic.publish_all(&["m1", "bad", "m2", "m3"]).await;
    stage.until_succeeded(&["m1", "m2", "m3"]).await;
    let dead = |outcomes: Vec<Outcome>| matches!(outcomes.as_slice(), [Outcome::DeadLettered(_)]);
    stage.until("the bad one is dead", |ledger| dead(ledger.outcomes_of("bad"))).await;
    member.stop().await;
    for text in ["m1", "bad", "m2", "m3"] {
        assert_eq!(stage.ledger.attempts_of(text), [1], "{text:?} runs once");
    }
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub(super) fn extensible(stage: &Stage<'_>) -> Result<Duration, NotProved> {
    match stage.capabilities.hold {
        Hold::Extendable { each, total } => {
            needs(each <= stage.harness.patience(), "its hold is longer than the patience")?;
            needs(total.is_none_or(|total| total > each * 6), "its hold ends soon in any case")?;
            Ok(each)
        }
        _ => NotProved::because("its holds cannot be extended"),
    }
}
