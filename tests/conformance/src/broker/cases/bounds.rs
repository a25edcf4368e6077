//! Demand, stop, and what is unsettled at most (P14).

use std::{future::Future, sync::Arc, time::Duration};

use steadfast::{
    Message,
    broker::{Demand, Settle, Settlement},
};
use tokio::time::sleep;

use crate::broker::{
    BrokerHarness, Proof, Session, Stage, Topic,
    script::{Gate, script, transient, wait_at},
    verdict::NotProved,
    wait::{until_some, within},
};

pub async fn a_receive_gives_no_more_messages_than_asked_for(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "demand").await;
    let session = topic.session().await;
    for number in 0..12 {
        topic.publish(&format!("m{number}")).await;
    }
    let mut seen = 0;
    while seen < 12 {
        for most in [1, 3] {
            let found = receive(&session, Demand::new(most, usize::MAX)).await;
            assert!(found <= most, "{found} deliveries came where {most} were asked for");
            seen += found;
            if seen == 12 {
                break;
            }
        }
    }
    session.close().await;
    Ok(())
}

pub async fn a_receive_stops_behind_the_message_that_passes_the_bytes(
    harness: &dyn BrokerHarness,
) -> Proof {
    const MESSAGE: usize = 1000;
    let topic = Topic::fresh(harness, "bytes").await;
    let session = topic.session().await;
    for number in 0..9 {
        let message = Message::new(vec![b'x'; MESSAGE]).with_key(format!("k{number}"));
        topic.publish_message(message).await;
    }
    let mut seen = 0;
    while seen < 9 {
        // The second passes this bound, and ends the answer.
        let found = receive(&session, Demand::new(9, MESSAGE + MESSAGE / 2)).await;
        assert!(found <= 2, "{found} deliveries of {MESSAGE} bytes came where 1500 were asked for");
        seen += found;
    }
    session.close().await;
    Ok(())
}

pub async fn a_stop_ends_a_receive_that_waits(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "stop").await;
    let session = topic.session().await;
    let source = Arc::clone(&session.source);
    let waiting = tokio::spawn(async move { source.receive(Demand::new(10, usize::MAX)).await });
    tokio::task::yield_now().await;
    within(topic.patience(), "the source to stop", session.source.stop()).await;
    let ended = within(topic.patience(), "the receive to end after the stop", waiting).await;
    let late = ended.expect("a receive does not panic").expect("a stop is no error");
    assert!(late.is_empty(), "nothing was published");
    session.close().await;
    Ok(())
}

pub async fn a_source_that_has_stopped_gives_no_more(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "stopped").await;
    let mut session = topic.session().await;
    topic.publish_all(&["m1", "m2", "m3"]).await;
    let first = session.next().await;
    within(topic.patience(), "the source to stop", session.source.stop()).await;
    for _ in 0..3 {
        assert_eq!(receive(&session, Demand::new(10, usize::MAX)).await, 0, "after a stop");
    }
    // What it holds can still be settled.
    session.ack(first).await;
    session.close().await;
    Ok(())
}

pub async fn what_a_source_has_fetched_goes_back_when_it_stops(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "prefetched").await;
    let mut session = topic.session().await;
    let texts = ["m1", "m2", "m3", "m4", "m5", "m6"];
    topic.publish_all(&texts).await;
    let first = session.next().await;
    let taken = crate::broker::session::text_of(&first.message);
    session.ack(first).await;
    session.close().await;
    let mut next = topic.session().await;
    for _ in 1..texts.len() {
        let delivery = next.next().await;
        let text = crate::broker::session::text_of(&delivery.message);
        assert_ne!(text, taken, "it was acked");
        next.ack(delivery).await;
    }
    next.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

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
        .consumer("one", script(|call| async move {
            if call.run == 1 { Err(transient()) } else { Ok(()) }
        }))
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

/// How many deliveries one call gives. They are acked.
async fn receive(session: &Session<'_>, demand: Demand) -> usize {
    let receiving = session.source.receive(demand);
    let received = within(session.topic.patience(), "an answer to a receive", receiving).await;
    let deliveries = received.expect("the source can receive");
    let found = deliveries.len();
    let batch: Vec<Settle> =
        deliveries.into_iter().map(|delivery| Settle::new(delivery, Settlement::Ack)).collect();
    for answer in session.settle_batch(&batch).await {
        answer.expect("it is ours");
    }
    found
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
            () = sleep(Duration::from_millis(1)) => {
                most = most.max(unsettled(stage).await?);
            }
        }
    }
}
