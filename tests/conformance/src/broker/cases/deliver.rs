//! What comes out of a source.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use steadfast::{
    Delivery,
    broker::{Settle, Settlement},
};

use crate::broker::{
    BrokerHarness, GROUPS, Proof, Topic,
    session::text_of,
    verdict::{NotProved, needs},
};

pub async fn a_published_message_is_delivered(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "deliver").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    session.ack(delivery).await;
    session.close().await;
    Ok(())
}

pub async fn what_was_published_before_the_session_is_delivered(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "before").await;
    topic.publish_all(&["m1", "m2"]).await;
    let mut session = topic.session().await;
    for delivery in session.take(["m1", "m2"]).await {
        session.ack(delivery).await;
    }
    session.close().await;
    Ok(())
}

pub async fn what_is_published_while_a_receive_waits_is_delivered(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "waiting").await;
    let mut session = topic.session().await;
    let publishing = async {
        // By then the other side has asked, and found nothing.
        tokio::task::yield_now().await;
        topic.publish("m1").await;
    };
    let (delivery, ()) = tokio::join!(session.next(), publishing);
    assert_eq!(text_of(&delivery.message), "m1");
    session.ack(delivery).await;
    session.close().await;
    Ok(())
}

pub async fn each_of_many_messages_is_delivered(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "many").await;
    let mut session = topic.session().await;
    let mut missing = HashSet::new();
    for number in 0..120 {
        let text = format!("m{number}");
        topic.publish_keyed(&format!("k{}", number % 7), &text).await;
        missing.insert(text);
    }
    while !missing.is_empty() {
        let delivery = session.next().await;
        let text = text_of(&delivery.message);
        assert!(missing.remove(&text), "{text:?} was never published, or has been acked");
        session.ack(delivery).await;
    }
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

/// A redrive publishes to where the origin says that a message came from.
pub async fn the_origin_names_the_topic(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "origin").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    assert_eq!(*delivery.origin.source, *topic.name);
    session.ack(delivery).await;
    session.close().await;
    Ok(())
}

pub async fn the_time_of_publishing_is_plausible(harness: &dyn BrokerHarness) -> Proof {
    /// Between the clocks of two machines.
    const SKEW: Duration = Duration::from_secs(60);
    let topic = Topic::fresh(harness, "published-at").await;
    let mut session = topic.session().await;
    let before = SystemTime::now();
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    let (published_at, age) = (delivery.origin.published_at, delivery.age());
    session.ack(delivery).await;
    session.close().await;
    let Some(published_at) = published_at else {
        return NotProved::because("the source does not say when a message was published");
    };
    assert!(published_at + SKEW >= before, "{published_at:?} is before it was published");
    assert!(published_at <= SystemTime::now() + SKEW, "{published_at:?} is yet to come");
    let age = age.expect("the age follows from the time of publishing");
    assert!(age <= SKEW * 2, "a fresh message is {age:?} old");
    Ok(())
}

pub async fn a_message_keeps_its_id(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "ids").await;
    let capabilities = topic.capabilities().await;
    needs(capabilities.stable_message_ids, "the source claims no stable message ids")?;
    let mut session = topic.session().await;
    topic.publish_all(&["m1", "m2"]).await;
    let id = |delivery: &Delivery| delivery.origin.message_id.clone();
    let [first, other] = session.take(["m1", "m2"]).await;
    let known = id(&first).expect("every message has an id");
    assert!(!known.is_empty());
    assert_ne!(id(&other), Some(known.clone()), "two messages have two ids");
    session.ack(other).await;
    session.release(first).await;
    let second = session.next_is("m1").await;
    assert_eq!(id(&second), Some(known.clone()), "after a release");
    session.requeue(second, topic.delay()).await;
    let third = session.next_is("m1").await;
    // A copy carries the first id in its headers: what handlers see of it is another case.
    if !capabilities.delays_by_copy {
        assert_eq!(id(&third), Some(known), "after a delay");
    }
    session.ack(third).await;
    session.close().await;
    Ok(())
}

pub async fn two_groups_each_get_everything(harness: &dyn BrokerHarness) -> Proof {
    needs(harness.supports_groups(), "a topic has one group of consumers")?;
    let topic = Topic::fresh(harness, "groups").await;
    let mut one = topic.session_of(GROUPS[0]).await;
    let mut two = topic.session_of(GROUPS[1]).await;
    topic.publish_all(&["m1", "m2", "m3"]).await;
    for delivery in one.take(["m1", "m2", "m3"]).await {
        one.ack(delivery).await;
    }
    for delivery in two.take(["m1", "m2", "m3"]).await {
        two.ack(delivery).await;
    }
    one.close().await;
    two.close().await;
    Ok(())
}

/// A member that joins may take over what another holds, whose receipts are then stale; what was
/// acked comes to nobody.
pub async fn two_sessions_of_a_group_share_the_messages(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "shared").await;
    let mut one = topic.session().await;
    let mut two = topic.session().await;
    let texts: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
    for text in &texts {
        topic.publish(text).await;
    }
    let mut acked = HashSet::new();
    while acked.len() < texts.len() {
        let (delivery, session) = tokio::select! {
            delivery = one.next() => (delivery, &one),
            delivery = two.next() => (delivery, &two),
        };
        let text = text_of(&delivery.message);
        assert!(!acked.contains(&text), "{text:?} was acked by one member, and comes to another");
        let settle = Settle::new(delivery, Settlement::Ack);
        if session.try_settle(&settle).await.is_ok() {
            acked.insert(text);
        }
    }
    one.close().await;
    two.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}
