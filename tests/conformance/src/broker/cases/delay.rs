//! Requeues with a delay (P7).

use std::time::Duration;

use steadfast::broker::{Settle, Settlement};
use tokio::time::Instant;

use crate::broker::{
    BrokerHarness, Proof, Topic,
    verdict::{NotProved, needs},
    wait::CLOCK_DIFFERENCE,
};

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
    let requeue =
        |delivery, delay| Settle::new(delivery, Settlement::Requeue { delay, counted: true });
    // At once: a long delay that begins much earlier could be over first.
    session.settle_all(&[requeue(first, long), requeue(second, short)]).await;
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

/// The count of attempts must outlive the wait, also where the original does not.
pub async fn a_copy_that_waits_carries_its_attempts(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "copy").await;
    let (delay, capabilities) = (topic.delay(), topic.capabilities().await);
    keeps(&topic, delay).await?;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let requeue = Settlement::Requeue { delay, counted: true };
    let mut settle = Settle::new(session.next_is("m1").await, requeue);
    settle.attempts = 2;
    session.settle_all(std::slice::from_ref(&settle)).await;
    let again = session.next_is("m1").await;
    let came = again.message.clone();
    session.ack(again).await;
    session.close().await;
    match capabilities.delays_by_copy {
        true => assert_eq!(came, settle.retry_copy(), "it claims to delay by a copy"),
        false => assert_eq!(came, settle.message, "it claims to delay the original"),
    }
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
