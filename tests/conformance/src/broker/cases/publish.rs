//! What a publisher confirms is there; what it cannot place it says so (P1).

use std::{collections::HashSet, sync::Arc};

use steadfast::{
    Message,
    broker::{BrokerError, Publish, PublishError},
};

use crate::broker::{
    BrokerHarness, Proof, Topic,
    session::text_of,
    verdict::{NotProved, needs},
    wait::{until_some, within},
};

pub async fn a_confirmed_message_is_there(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "confirmed").await;
    let publisher = publisher(&topic).await;
    let message = Message::new("m1").with_key("m1").with_header("a", "1");
    publish(&topic, &*publisher, message.clone()).await.expect("the destination is there");
    let found = harness.read_all(&topic.name).await;
    let mut session = topic.session().await;
    let delivery = session.next_is("m1").await;
    assert_eq!(delivery.message, message);
    session.ack(delivery).await;
    session.close().await;
    match found {
        None => NotProved::because("what was published cannot be read independently"),
        Some(found) => {
            assert_eq!(found, [message]);
            Ok(())
        }
    }
}

pub async fn a_message_of_the_largest_size_is_taken(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "largest").await;
    let most = largest(&topic).await?;
    let mut session = topic.session().await;
    let publisher = publisher(&topic).await;
    publish(&topic, &*publisher, Message::new(vec![b'x'; most]))
        .await
        .unwrap_or_else(|error| panic!("{most} bytes are claimed to fit: {error}"));
    let delivery = session.next().await;
    assert_eq!(delivery.message.size(), most);
    session.ack(delivery).await;
    session.close().await;
    Ok(())
}

/// A refusal concerns one message: those after it are taken.
pub async fn a_message_beyond_the_largest_size_is_refused_alone(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "too-large").await;
    let most = largest(&topic).await?;
    let mut session = topic.session().await;
    let publisher = publisher(&topic).await;
    let answer = publish(&topic, &*publisher, Message::new(vec![b'x'; most + 1])).await;
    assert!(matches!(answer, Err(PublishError::Refused(_))), "{} bytes: {answer:?}", most + 1);
    publish(&topic, &*publisher, Message::new("m1")).await.expect("this one is small");
    let delivery = session.next_is("m1").await;
    session.ack(delivery).await;
    session.close().await;
    Ok(())
}

/// Brokers exist that confirm what no queue has taken, and clients that lose their session over it.
pub async fn a_message_to_nowhere_is_not_confirmed(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "somewhere").await;
    let nowhere = missing(harness).await?;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let held = session.next_is("m1").await;
    let publisher = publisher(&topic).await;
    let message = Message::new("lost?");
    let publishing = publisher.publish(&nowhere, &message);
    let answer = within(topic.patience(), "an answer to a publish", publishing).await;
    assert!(matches!(answer, Err(PublishError::Unavailable(_))), "{answer:?}");
    publish(&topic, &*publisher, Message::new("m2")).await.expect("this one has a destination");
    session.ack(held).await;
    let delivery = session.next_is("m2").await;
    session.ack(delivery).await;
    session.close().await;
    Ok(())
}

pub async fn publishes_at_the_same_time_are_each_answered_for_themselves(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "at-once").await;
    let mut session = topic.session().await;
    let publisher = publisher(&topic).await;
    let most = largest(&topic).await.ok();
    let messages = (0..30).map(|number| match most {
        Some(most) if number % 5 == 3 => Message::new(vec![b'x'; most + 1]),
        _ => Message::new(format!("m{number}")),
    });
    let publishing = messages.map(|message| {
        let (topic, publisher) = (&topic, &publisher);
        async move { (publish(topic, &**publisher, message.clone()).await, message) }
    });
    let mut confirmed = HashSet::new();
    for (answer, message) in futures::future::join_all(publishing).await {
        let fits = most.is_none_or(|most| message.size() <= most);
        assert_eq!(answer.is_ok(), fits, "{} bytes: {answer:?}", message.size());
        confirmed.extend(fits.then(|| text_of(&message)));
    }
    while !confirmed.is_empty() {
        let delivery = session.next().await;
        let text = text_of(&delivery.message);
        assert!(confirmed.remove(&text), "{} bytes come that were not confirmed", text.len());
        session.ack(delivery).await;
    }
    session.close().await;
    Ok(())
}

pub async fn a_destination_that_is_down_is_unavailable_until_it_is_up(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "down").await;
    let publisher = publisher(&topic).await;
    let down = harness.refuse_publishes(&topic.name, true).await;
    needs(down, "a destination cannot be made unavailable")?;
    let answer = publish(&topic, &*publisher, Message::new("m1")).await;
    assert!(matches!(answer, Err(PublishError::Unavailable(_))), "{answer:?}");
    harness.refuse_publishes(&topic.name, false).await;
    // A client may hear of it late.
    let ask = async || publish(&topic, &*publisher, Message::new("m2")).await.ok();
    until_some(topic.patience(), "the destination to be up again", ask).await;
    let mut session = topic.session().await;
    // Without a confirmation it may have been taken or not; what was confirmed has been.
    while text_of(&session.next().await.message) != "m2" {}
    session.close().await;
    Ok(())
}

pub async fn a_check_finds_what_is_there_and_leaves_nothing(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "checked").await;
    let publisher = publisher(&topic).await;
    for _ in 0..2 {
        let checking = publisher.check(&topic.name);
        let checked = within(topic.patience(), "an answer to a check", checking).await;
        checked.expect("the destination is there");
    }
    topic.publish("m1").await;
    let mut session = topic.session().await;
    let delivery = session.next_is("m1").await;
    session.ack(delivery).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_check_names_what_is_missing(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "checked-in-vain").await;
    let nowhere = missing(harness).await?;
    let publisher = publisher(&topic).await;
    let checked = within(topic.patience(), "an answer to a check", publisher.check(&nowhere)).await;
    match checked {
        Err(BrokerError::Misconfigured(words)) => assert!(words.contains(&nowhere), "{words}"),
        other => panic!("{nowhere} does not exist, and is checked as {other:?}"),
    }
    Ok(())
}

async fn publisher(topic: &Topic<'_>) -> Arc<dyn Publish> {
    let broker = topic.harness.broker();
    let publisher = within(topic.patience(), "a publisher", broker.publisher()).await;
    publisher.expect("the broker is there")
}

async fn publish(
    topic: &Topic<'_>,
    publisher: &dyn Publish,
    message: Message,
) -> Result<(), PublishError> {
    let publishing = publisher.publish(&topic.name, &message);
    within(topic.patience(), "an answer to a publish", publishing).await
}

async fn largest(topic: &Topic<'_>) -> Result<usize, NotProved> {
    /// More than this is not sent about for a test.
    const MOST: usize = 16 << 20;
    match topic.capabilities().await.max_message_bytes {
        None => NotProved::because("it names no largest message"),
        Some(most) if most > MOST => NotProved::because(format!(
            "its largest message, {most} bytes, is too large for a test"
        )),
        Some(most) => Ok(most),
    }
}

async fn missing(harness: &dyn BrokerHarness) -> Result<String, NotProved> {
    match harness.missing_topic().await {
        Some(name) => Ok(name),
        None => NotProved::because("topics come into being by being used"),
    }
}
