//! Receipts: each settles its own delivery, once, and no other.

use steadfast::{
    Delivery, Receipt,
    broker::{Settle, SettleError, Settlement},
};

use crate::broker::{BrokerHarness, Proof, Session, Topic, wait::within};

pub async fn a_receipt_settles_once(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "once").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let acked = Settle::new(session.next_is("m1").await, Settlement::Ack);
    session.try_settle(&acked).await.expect("it is ours");
    let mut released = acked.clone();
    released.settlement = Settlement::Release;
    let mut requeued = acked.clone();
    requeued.settlement = Settlement::Requeue { delay: topic.delay(), counted: true };
    for late in [acked, released, requeued] {
        assert_stale_or_harmless(session.try_settle(&late).await);
    }
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn an_earlier_receipt_of_a_message_does_not_settle_it(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "earlier").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let first = Settle::new(session.next_is("m1").await, Settlement::Release);
    session.try_settle(&first).await.expect("it is ours");
    let second = session.next_is("m1").await;
    let mut late = first;
    late.settlement = Settlement::Ack;
    assert_stale_or_harmless(session.try_settle(&late).await);
    session.release(second).await;
    let third = session.next_is("m1").await;
    session.ack(third).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_receipt_that_was_never_given_settles_nothing(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "made-up").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    let Receipt { epoch, tag, .. } = delivery.receipt;
    let (other_tag, other_epoch) = (tag.wrapping_add(1_000_000), epoch.wrapping_add(1));
    for receipt in [Receipt::new(epoch, other_tag), Receipt::new(other_epoch, tag)] {
        let made_up = Delivery::new(delivery.message.clone(), delivery.origin.clone(), receipt);
        let answer = session.try_settle(&Settle::new(made_up, Settlement::Ack)).await;
        assert_stale_or_harmless(answer);
    }
    assert_still_ours(&mut session, delivery).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_stale_receipt_in_a_batch_spoils_no_other(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "stale-in-batch").await;
    let mut session = topic.session().await;
    topic.publish_all(&["m1", "m2", "m3"]).await;
    let [first, second, third] = session.take(["m1", "m2", "m3"]).await;
    let settle = |delivery| Settle::new(delivery, Settlement::Ack);
    // In front, so that answers in another order are told from these.
    let batch = [settle(first), settle(second), settle(third)];
    session.try_settle(&batch[0]).await.expect("it is ours");
    let mut answers = session.settle_batch(&batch).await.into_iter();
    assert_stale_or_harmless(answers.next().expect("three answers"));
    answers.next().expect("three answers").expect("the second is ours");
    answers.next().expect("three answers").expect("the third is ours");
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_session_that_has_closed_settles_nothing(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "after-close").await;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let settle = Settle::new(session.next_is("m1").await, Settlement::Ack);
    let source = std::sync::Arc::clone(&session.source);
    session.close().await;
    let settling = source.settle(std::slice::from_ref(&settle));
    let late = within(topic.patience(), "the answer to a settlement", settling).await;
    assert!(!matches!(late.as_slice(), [Ok(())]), "an ack that nobody takes is answered with Ok");
    let mut next = topic.session().await;
    let delivery = next.next_is("m1").await;
    next.ack(delivery).await;
    next.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

async fn assert_still_ours(session: &mut Session<'_>, delivery: Delivery) {
    session.release(delivery).await;
    let again = session.next_is("m1").await;
    session.ack(again).await;
}

/// Whether it was harmless the rest of the case shows.
fn assert_stale_or_harmless(answer: Result<(), SettleError>) {
    if let Err(error) = answer {
        assert!(matches!(error, SettleError::Stale), "a stale receipt is answered with {error}");
    }
}
