//! What settlements do.

use std::time::Duration;

use steadfast::broker::{Settle, Settlement};
use tokio::time::Instant;

use crate::broker::{
    BrokerHarness, Proof, Topic,
    topic::limited_hold,
    verdict::{NotProved, needs},
    wait::CLOCK_DIFFERENCE,
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

pub async fn a_requeued_message_comes_again_after_its_delay_and_not_before(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "delay").await;
    let delay = topic.delay();
    keeps(&topic, delay).await?;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    for counted in [true, false] {
        let delivery = session.next_is("m1").await;
        let asked = Instant::now();
        session.settle(delivery, Settlement::Requeue { delay, counted }).await;
        let again = session.next_is("m1").await;
        assert_not_before(asked, delay);
        session.release(again).await;
    }
    let delivery = session.next_is("m1").await;
    session.ack(delivery).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

/// A queue that delivers from its head alone lets the long delay hold up the short one.
pub async fn a_short_delay_does_not_wait_for_a_long_one(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "two-delays").await;
    let (short, long) = (topic.delay(), topic.delay() * 4);
    keeps(&topic, long).await?;
    let mut session = topic.session().await;
    topic.publish_all(&["long", "short"]).await;
    let [first, second] = session.take(["long", "short"]).await;
    session.requeue(first, long).await;
    session.requeue(second, short).await;
    for text in ["short", "long"] {
        let delivery = session.next_is(text).await;
        session.ack(delivery).await;
    }
    session.close().await;
    Ok(())
}

pub async fn a_message_that_waits_holds_up_no_other(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "beside-a-delay").await;
    let delay = topic.delay() * 4;
    keeps(&topic, delay).await?;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    session.requeue(delivery, delay).await;
    topic.publish("m2").await;
    for text in ["m2", "m1"] {
        let delivery = session.next_is(text).await;
        session.ack(delivery).await;
    }
    session.close().await;
    Ok(())
}

/// How long a broker waits that is asked for more than it can is its own affair; it may not lose the
/// message.
pub async fn a_delay_beyond_the_longest_loses_nothing(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "too-long").await;
    let longest = topic.capabilities().await.max_delay.unwrap_or_default();
    let delay = longest.saturating_mul(2).max(topic.delay());
    if delay > topic.patience() {
        return NotProved::because("it keeps delays that are longer than the harness's patience");
    }
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    let asked = Instant::now();
    session.requeue(delivery, delay).await;
    let again = session.next_within(topic.patience() * 2).await;
    let again = again.expect("the message comes again");
    assert_not_before(asked, longest);
    session.ack(again).await;
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

async fn keeps(topic: &Topic<'_>, delay: Duration) -> Proof {
    let longest = topic.capabilities().await.max_delay;
    needs(
        longest.is_some_and(|longest| delay <= longest),
        format!("the longest delay that the source keeps is {longest:?}"),
    )
}

fn assert_not_before(asked: Instant, delay: Duration) {
    let waited = asked.elapsed();
    assert!(waited + CLOCK_DIFFERENCE >= delay, "a delay of {delay:?} was over after {waited:?}");
}
