//! Order per key, as a source keeps it.

use steadfast::{
    Delivery,
    broker::{Settle, Settlement},
};

use crate::broker::{
    BrokerHarness, Proof, Session, Topic,
    session::{next_of, text_of},
};

pub async fn messages_of_a_key_come_in_the_order_of_publishing(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::ordered(harness, "order").await?;
    let mut session = topic.session().await;
    let keys = ["a", "b", "c"];
    for number in 0..20 {
        for key in keys {
            topic.publish_keyed(key, &format!("{key}{number}")).await;
        }
    }
    let mut next = [0; 3];
    while next != [20; 3] {
        let delivery = session.next().await;
        let text = text_of(&delivery.message);
        let index = keys.iter().position(|key| text.starts_with(key)).expect("one of the keys");
        assert_eq!(text, format!("{}{}", keys[index], next[index]));
        next[index] += 1;
        session.ack(delivery).await;
    }
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

/// A lane that stops gives all of its messages back in one batch.
pub async fn released_messages_of_a_key_come_again_in_order(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::ordered(harness, "released-order").await?;
    let mut session = topic.session().await;
    let (taken, texts) = take_a_line(&topic, &mut session).await;
    let batch: Vec<Settle> =
        taken.into_iter().map(|delivery| Settle::new(delivery, Settlement::Release)).collect();
    session.settle_all(&batch).await;
    assert_next_in_order(&mut session, &texts).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn unsettled_messages_of_a_key_come_to_the_next_session_in_order(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::ordered(harness, "unsettled-order").await?;
    let mut session = topic.session().await;
    let (_unsettled, texts) = take_a_line(&topic, &mut session).await;
    session.close().await;
    let mut next = topic.session().await;
    assert_next_in_order(&mut next, &texts).await;
    next.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

/// With or without the delay: a source that could keep it only by a copy, behind what follows the
/// original, does not claim to delay when order is asked of it.
pub async fn a_requeued_message_keeps_its_key_back(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::ordered(harness, "kept-back").await?;
    let copies = topic.capabilities().await.delays_by_copy;
    assert!(!copies, "a copy stands behind what follows its original");
    let delay = topic.delay();
    let mut session = topic.session().await;
    let texts = ["k1", "k2", "k3"];
    for text in texts {
        topic.publish_keyed("k", text).await;
    }
    for counted in [true, false] {
        let first = session.next_is("k1").await;
        session.settle(first, Settlement::Requeue { delay, counted }).await;
    }
    assert_next_in_order(&mut session, &texts).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_key_is_at_one_session_at_a_time(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::ordered(harness, "one-session").await?;
    let mut one = topic.session().await;
    topic.publish_keyed("k", "k1").await;
    let first = one.next_is("k1").await;
    let mut two = topic.session().await;
    for text in ["k2", "k3", "k4"] {
        topic.publish_keyed("k", text).await;
    }
    // What is published behind them, of many keys, comes to one or to the other.
    let others: Vec<String> = (0..8).map(|number| format!("other {number}")).collect();
    for text in &others {
        topic.publish(text).await;
    }
    let mut waiting = others.len();
    let mut held = vec![(1, first)];
    while waiting > 0 {
        let (member, delivery) = next_of(&mut one, &mut two).await;
        if text_of(&delivery.message).starts_with("other") {
            waiting -= 1;
            let session = if member == 1 { &one } else { &two };
            session.ack(delivery).await;
        } else {
            held.push((member, delivery));
        }
    }
    // A broker that moves the key when a member joins makes the receipts of the first stale.
    let first_is_ours = {
        let (_, first) = held.remove(0);
        one.try_settle(&Settle::new(first, Settlement::Ack)).await.is_ok()
    };
    assert!(
        !first_is_ours || held.iter().all(|(member, _)| *member == 1),
        "one member holds the first message of a key, and another gets the second"
    );
    one.close().await;
    two.close().await;
    Ok(())
}

/// Publishes three messages of one key and takes them, unsettled.
async fn take_a_line(
    topic: &Topic<'_>,
    session: &mut Session<'_>,
) -> (Vec<Delivery>, [&'static str; 3]) {
    let texts = ["k1", "k2", "k3"];
    for text in texts {
        topic.publish_keyed("k", text).await;
    }
    let mut taken = vec![session.next_is(texts[0]).await];
    // A source may hand out one message of a key at a time: then the line is what it gave.
    while taken.len() < texts.len() {
        match session.next_within(topic.delay() * 4).await {
            Some(delivery) => {
                assert_eq!(text_of(&delivery.message), texts[taken.len()]);
                taken.push(delivery);
            }
            None => break,
        }
    }
    (taken, texts)
}

async fn assert_next_in_order(session: &mut Session<'_>, texts: &[&str]) {
    for text in texts {
        let delivery = session.next_is(text).await;
        session.ack(delivery).await;
    }
}
