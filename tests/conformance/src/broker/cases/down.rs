//! A broker that is down: the consumer is not ready, waits, and goes on by itself (P8).

use crate::broker::{
    BrokerHarness, Member, NotProved, Proof, Stage,
    script::{hang, succeed},
    verdict::needs,
    wait::within,
};

pub async fn a_consumer_waits_for_its_broker_to_come_up(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "down-at-start").await;
    stage.topic.publish("m1").await;
    take_down(&stage).await?;
    let member = stage.start(stage.consumer("one", succeed()));
    found_down(&stage, &member).await;
    harness.take_down(false).await;
    member.ready().await;
    stage.until_succeeded(&["m1"]).await;
    member.stop().await;
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_consumer_goes_on_when_its_broker_comes_back(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "down-for-a-while").await;
    let member = stage.start(stage.consumer("one", succeed()));
    stage.topic.publish("m1").await;
    stage.until_succeeded(&["m1"]).await;
    take_down(&stage).await?;
    found_down(&stage, &member).await;
    harness.take_down(false).await;
    member.ready().await;
    stage.topic.publish("m2").await;
    stage.until_succeeded(&["m2"]).await;
    member.stop().await;
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

/// What could not be settled comes again when the broker is back.
pub async fn a_stop_while_the_broker_is_down_loses_nothing(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "down-at-stop").await;
    let policy = stage.consumer("one", hang()).drain(stage.delay()).grace(stage.delay() / 10);
    let member = stage.start(policy);
    stage.topic.publish("m1").await;
    stage.until("it is at work", |ledger| ledger.runs().len() == 1).await;
    take_down(&stage).await?;
    member.begin_stop();
    // It may say that it could not settle; what counts is that it ends.
    let _ = member.ended().await;
    harness.take_down(false).await;
    let next = stage.start(stage.consumer("two", succeed()));
    stage.until_succeeded(&["m1"]).await;
    next.stop().await;
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

async fn take_down(stage: &Stage<'_>) -> Result<(), NotProved> {
    needs(stage.harness.take_down(true).await, "the broker cannot be taken down")
}

async fn found_down(stage: &Stage<'_>, member: &Member) {
    member.has_tried_in_vain().await;
    let down = member.health.down("broker");
    within(stage.longest_wait(), "the consumer to find its broker down", down).await;
    assert!(!member.health.is_ready());
}
