//! What settlements do.

use std::{sync::Arc, time::Duration};

use steadfast::broker::{Demand, Settle, Settlement};
use tokio::time::Instant;

use crate::broker::{
    BrokerHarness, Proof, Topic, session::text_of, topic::limited_hold, wait::within,
};

pub async fn an_acked_message_never_comes_again(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "ack").await;
    let mut session = topic.session().await;
    topic.publish_all(&["m1", "m2"]).await;
    for delivery in session.take(["m1", "m2"]).await {
        session.ack(delivery).await;
    }
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_released_message_comes_again(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "release").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let released = Instant::now();
    for _ in 0..3 {
        let delivery = session.next_is("m1").await;
        session.release(delivery).await;
    }
    let delivery = session.next_is("m1").await;
    if let Some(hold) = limited_hold(&session.source.capabilities()) {
        assert!(released.elapsed() < hold, "three releases took a hold to come into effect");
    }
    session.ack(delivery).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_released_message_is_there_for_the_next_session(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "handed-back").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    session.release(delivery).await;
    session.close().await;
    let mut next = topic.session().await;
    let delivery = next.next_is("m1").await;
    next.ack(delivery).await;
    next.close().await;
    Ok(())
}

pub async fn a_message_requeued_without_delay_comes_again(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "requeue").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    for counted in [true, false] {
        let delivery = session.next_is("m1").await;
        session.settle(delivery, Settlement::Requeue { delay: Duration::ZERO, counted }).await;
    }
    let delivery = session.next_is("m1").await;
    session.ack(delivery).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

/// The consumer settles and receives side by side.
pub async fn a_receive_that_waits_holds_up_no_settlement(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "side-by-side").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    let source = Arc::clone(&session.source);
    let waiting = tokio::spawn(async move { source.receive(Demand::new(1, usize::MAX)).await });
    tokio::task::yield_now().await;
    session.release(delivery).await;
    let received = within(topic.patience(), "the release to be received", waiting).await;
    let mut received = received.expect("a receive does not panic").expect("the source can receive");
    while received.is_empty() {
        received.push(session.next().await);
    }
    session.ack(received.remove(0)).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn deliveries_are_counted_if_it_says_so(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "counts").await;
    let counts = topic.capabilities().await.counts_deliveries;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let mut before = None;
    for time in 0..4 {
        let delivery = session.next_is("m1").await;
        let count = delivery.broker_deliveries;
        match (counts, before) {
            (false, _) => assert_eq!(count, None, "what is not counted must not be given"),
            (true, None) => assert_eq!(count, Some(1), "the first delivery"),
            (true, Some(_)) => {
                assert!(count > before, "delivery {}: {count:?} after {before:?}", time + 1);
            }
        }
        before = count;
        session.requeue(delivery, Duration::ZERO).await;
    }
    let delivery = session.next_is("m1").await;
    session.ack(delivery).await;
    session.close().await;
    Ok(())
}

pub async fn a_batch_is_answered_one_by_one(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "batch").await;
    let mut session = topic.session().await;
    topic.publish_all(&["ack 1", "release", "ack 2", "requeue", "ack 3"]).await;
    let taken = session.take(["ack 1", "release", "ack 2", "requeue", "ack 3"]).await;
    let settlements = [
        Settlement::Ack,
        Settlement::Release,
        Settlement::Ack,
        Settlement::Requeue { delay: Duration::ZERO, counted: true },
        Settlement::Ack,
    ];
    let batch: Vec<Settle> =
        taken.into_iter().zip(settlements).map(|(d, s)| Settle::new(d, s)).collect();
    for (settle, answer) in batch.iter().zip(session.settle_batch(&batch).await) {
        answer.unwrap_or_else(|error| panic!("{:?}: {error}", settle.settlement));
    }
    for delivery in session.take(["release", "requeue"]).await {
        session.ack(delivery).await;
    }
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn an_empty_batch_has_no_answers(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "empty-batch").await;
    let session = topic.session().await;
    assert!(session.settle_batch(&[]).await.is_empty());
    session.close().await;
    Ok(())
}

pub async fn an_unsettled_message_comes_again_when_its_session_closes(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "closed").await;
    let mut session = topic.session().await;
    topic.publish_all(&["m1", "m2"]).await;
    let _unsettled = session.take(["m1", "m2"]).await;
    session.close().await;
    let mut next = topic.session().await;
    for delivery in next.take(["m1", "m2"]).await {
        next.ack(delivery).await;
    }
    next.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

/// Of a broker that knows positions, and no ack of one message.
pub async fn what_is_settled_out_of_order_hides_nothing_before_it(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "out-of-order").await;
    let mut session = topic.session().await;
    for text in ["m1", "m2", "m3", "m4"] {
        topic.publish_keyed("one line", text).await;
    }
    let [m1, _m2, m3, m4] = session.take(["m1", "m2", "m3", "m4"]).await;
    for delivery in [m4, m1, m3] {
        session.ack(delivery).await;
    }
    session.close().await;
    let mut next = topic.session().await;
    // Others may come again too: a position cannot tell of those behind it.
    let mut delivery = next.next().await;
    while text_of(&delivery.message) != "m2" {
        next.ack(delivery).await;
        delivery = next.next().await;
    }
    next.ack(delivery).await;
    next.close().await;
    Ok(())
}
