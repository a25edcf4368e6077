//! The backlog: what could be delivered now. The watchdog renews a session that delivers nothing while
//! there is some, so what cannot be delivered must not be counted.

use std::collections::BTreeMap;

use tokio::time::{Instant, sleep};

use crate::broker::{
    BrokerHarness, NotProved, Proof, Session, Topic,
    session::{next_of, text_of},
    verdict::needs,
    wait::{BETWEEN_QUESTIONS, until_some, within},
};

pub async fn what_waits_to_be_received_is_the_backlog(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "backlog").await;
    let mut session = topic.session().await;
    counts(&session).await?;
    topic.publish_all(&["m1", "m2", "m3"]).await;
    comes_to(&session, 1..=3, "three messages wait").await;
    for delivery in session.take(["m1", "m2", "m3"]).await {
        session.ack(delivery).await;
    }
    comes_to(&session, 0..=0, "all are acked").await;
    session.close().await;
    Ok(())
}

pub async fn what_is_held_is_not_in_the_backlog(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "held-backlog").await;
    let (mut one, mut two) = (topic.session().await, topic.session().await);
    counts(&one).await?;
    topic.publish_all(&["m1", "m2"]).await;
    // Either may get them, and one of them again, where a broker moves shares between members.
    let mut held = BTreeMap::new();
    while held.len() < 2 {
        let (member, delivery) = next_of(&mut one, &mut two).await;
        held.insert(text_of(&delivery.message), (member, delivery));
    }
    comes_to(&one, 0..=0, "the two hold both").await;
    comes_to(&two, 0..=0, "the two hold both").await;
    for (_, (member, delivery)) in held {
        if member == 1 { one.ack(delivery).await } else { two.ack(delivery).await }
    }
    one.close().await;
    two.close().await;
    Ok(())
}

pub async fn what_is_delayed_is_not_in_the_backlog(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "delayed-backlog").await;
    let delay = topic.delay() * 8;
    let longest = topic.capabilities().await.max_delay;
    needs(longest.is_some_and(|longest| delay <= longest), "it keeps no long delay")?;
    let mut session = topic.session().await;
    counts(&session).await?;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    session.requeue(delivery, delay).await;
    comes_to(&session, 0..=0, "the only message waits for its delay").await;
    let delivery = session.next_is("m1").await;
    session.ack(delivery).await;
    session.close().await;
    Ok(())
}

/// Counts of brokers follow what happens at a distance.
async fn comes_to(session: &Session<'_>, expected: std::ops::RangeInclusive<u64>, when: &str) {
    let what = format!("a backlog of {expected:?}: {when}");
    let ask = async || {
        let told = session.source.backlog().await.ok().flatten();
        told.filter(|told| expected.contains(told))
    };
    until_some(session.topic.patience(), &what, ask).await;
}

async fn counts(session: &Session<'_>) -> Result<(), NotProved> {
    // It may be unable to tell yet.
    let deadline = Instant::now() + session.topic.delay() * 8;
    loop {
        let asking = session.source.backlog();
        let told = within(session.topic.patience(), "the backlog", asking).await;
        let tells = told.expect("the broker is there").is_some();
        if tells || Instant::now() > deadline {
            return needs(tells, "the source does not tell its backlog");
        }
        sleep(BETWEEN_QUESTIONS).await;
    }
}
