//! What a consumer holds unsettled at most (P14), as the broker counts it.

use std::{future::Future, time::Duration};

use tokio::time::sleep;

use crate::broker::{
    BrokerHarness, NotProved, Proof, Stage,
    script::{Gate, script, transient, wait_at},
    wait::until_some,
};

pub async fn never_more_is_unsettled_than_may_be_in_flight(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "in-flight").await;
    unsettled(&stage).await?;
    let gate = Gate::closed();
    let policy = stage.consumer("one", wait_at(&gate)).concurrency(2).max_in_flight(5);
    let member = stage.start(policy);
    let texts = publish_many(&stage, 20).await;
    let full = async || unsettled(&stage).await.ok().filter(|now| *now >= 2);
    until_some(stage.longest_wait(), "two messages to be at work", full).await;
    stage.others_have_worked().await;
    assert!(unsettled(&stage).await? <= 5, "more is unsettled than max_in_flight");
    gate.open();
    let most = watch_unsettled(&stage, stage.until_succeeded(&texts)).await?;
    assert!(most <= 5, "{most} were unsettled, and max_in_flight is 5");
    member.stop().await;
    Ok(())
}

/// One message may pass the bound.
pub async fn never_more_bytes_are_unsettled_than_may_be_in_flight(
    harness: &dyn BrokerHarness,
) -> Proof {
    let stage = Stage::new(harness, "in-flight-bytes").await;
    unsettled(&stage).await?;
    let gate = Gate::closed();
    let policy = stage.consumer("one", wait_at(&gate)).max_in_flight_bytes(2500);
    let member = stage.start(policy);
    let texts: Vec<String> = (0..20).map(|number| format!("{number:01000}")).collect();
    for text in &texts {
        stage.topic.publish_keyed("k", text).await;
    }
    let full = async || unsettled(&stage).await.ok().filter(|now| *now >= 1);
    until_some(stage.longest_wait(), "a message to be at work", full).await;
    stage.others_have_worked().await;
    assert!(unsettled(&stage).await? <= 3, "more bytes are unsettled than max_in_flight_bytes");
    gate.open();
    let most = watch_unsettled(&stage, stage.until_succeeded(&texts)).await?;
    assert!(most <= 3, "{most} messages of 1000 bytes were unsettled, and the bound is 2500");
    member.stop().await;
    Ok(())
}

/// What waits for its retry is held too.
pub async fn what_waits_counts_as_in_flight(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "waiting-in-flight").await;
    unsettled(&stage).await?;
    let policy = stage
        .consumer(
            "one",
            script(|call| async move { if call.run == 1 { Err(transient()) } else { Ok(()) } }),
        )
        .concurrency(2)
        .max_in_flight(4)
        .waiting_share(1.0);
    let member = stage.start(policy);
    let texts = publish_many(&stage, 12).await;
    let most = watch_unsettled(&stage, stage.until_succeeded(&texts)).await?;
    assert!(most <= 4, "{most} were unsettled, and max_in_flight is 4");
    member.stop().await;
    stage.topic.assert_nothing_is_left().await;
    Ok(())
}

async fn publish_many(stage: &Stage<'_>, messages: usize) -> Vec<String> {
    let texts: Vec<String> = (0..messages).map(|number| format!("m{number}")).collect();
    for text in &texts {
        stage.topic.publish(text).await;
    }
    texts
}

async fn unsettled(stage: &Stage<'_>) -> Result<usize, NotProved> {
    match stage.harness.unsettled(&stage.topic.name).await {
        Some(now) => Ok(now),
        None => NotProved::because("the broker does not tell what is unsettled"),
    }
}

/// The most that is seen unsettled until something has happened.
async fn watch_unsettled(
    stage: &Stage<'_>,
    until: impl Future<Output = ()>,
) -> Result<usize, NotProved> {
    let mut most = unsettled(stage).await?;
    let mut until = std::pin::pin!(until);
    loop {
        tokio::select! {
            biased;
            () = &mut until => return Ok(most),
            () = sleep(Duration::from_millis(5)) => {
                most = most.max(unsettled(stage).await?);
            }
        }
    }
}
