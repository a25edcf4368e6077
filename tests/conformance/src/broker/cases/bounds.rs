//! Demand and stop: a source gives what it is asked for, and ends when it is told to.

use std::sync::Arc;

use steadfast::{
    Message,
    broker::{Demand, Settle, Settlement},
};

use crate::broker::{BrokerHarness, Proof, Session, Topic, session::text_of, wait::within};

pub async fn a_receive_gives_no_more_messages_than_asked_for(harness: &dyn BrokerHarness) -> Proof {
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
    let taken = text_of(&first.message);
    session.ack(first).await;
    session.close().await;
    let mut next = topic.session().await;
    for _ in 1..texts.len() {
        let delivery = next.next().await;
        let text = text_of(&delivery.message);
        assert_ne!(text, taken, "it was acked");
        next.ack(delivery).await;
    }
    next.close().await;
    topic.assert_nothing_is_left().await;
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
