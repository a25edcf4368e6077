//! How long a delivery is held.
//!
//! Time is told by the broker: a delivery that was received later, and comes again because its own
//! hold has ended, proves that the hold of an earlier one would have ended too.

use std::time::Duration;

use steadfast::{
    Receipt,
    broker::{Hold, Settle, SettleError, Settlement},
};
use tokio::time::Instant;

use crate::broker::{
    BrokerHarness, Proof, Session, Topic,
    session::text_of,
    topic::limited_hold,
    verdict::{NotProved, needs},
    wait::{CLOCK_DIFFERENCE, within},
};

pub async fn an_unsettled_message_comes_again_when_its_hold_ends(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "hold").await;
    let hold = ends(&topic).await?;
    let mut session = topic.session().await;
    let asked = Instant::now();
    topic.publish("m1").await;
    let first = session.next_is("m1").await;
    let second = next_after(&mut session, hold).await;
    assert_eq!(text_of(&second.message), "m1");
    let waited = asked.elapsed();
    assert!(waited + CLOCK_DIFFERENCE >= hold, "a hold of {hold:?} was over after {waited:?}");
    // The first receipt is stale now: an ack by it must not take the message from its new owner.
    let _ = session.try_settle(&Settle::new(first, Settlement::Ack)).await;
    session.release(second).await;
    let third = session.next_is("m1").await;
    session.ack(third).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_held_message_stays_ours_while_others_come_and_go(
    harness: &dyn BrokerHarness,
) -> Proof {
    let topic = Topic::fresh(harness, "kept").await;
    let mut session = topic.session().await;
    topic.publish("kept").await;
    let kept = session.next_is("kept").await;
    for number in 0..20 {
        let text = format!("m{number}");
        topic.publish(&text).await;
        let delivery = session.next_is(&text).await;
        session.ack(delivery).await;
    }
    session.ack(kept).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_hold_that_is_extended_does_not_end(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "extended").await;
    let each = extensible(&topic).await?;
    let mut session = topic.session().await;
    topic.publish("extended").await;
    let extended = session.next_is("extended").await;
    topic.publish("clock").await;
    // Twice a later hold ends on its own: by then the extended one would have ended twice.
    for _ in 0..2 {
        let clock = session.next_is("clock").await;
        let began = Instant::now();
        let again = loop {
            extend(&session, &[extended.receipt]).await.remove(0).expect("it is ours");
            if let Some(delivery) = session.next_within(each / 3).await {
                break delivery;
            }
            assert!(began.elapsed() < each + topic.patience(), "the other hold does not end");
        };
        assert_eq!(text_of(&again.message), "clock", "the extended delivery comes again");
        drop(clock);
        session.release(again).await;
    }
    session.ack(extended).await;
    let clock = session.next_is("clock").await;
    session.ack(clock).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

/// From now, not from the end of the hold: extensions do not add up.
pub async fn an_extension_counts_from_now(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "from-now").await;
    let each = extensible(&topic).await?;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    for _ in 0..4 {
        extend(&session, &[delivery.receipt]).await.remove(0).expect("it is ours");
    }
    let extended = Instant::now();
    let again = next_after(&mut session, each).await;
    let waited = extended.elapsed();
    assert!(waited < each * 2, "a hold extended by {each:?} lasted {waited:?}");
    session.ack(again).await;
    session.close().await;
    Ok(())
}

pub async fn extensions_are_answered_one_by_one(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "extensions").await;
    extensible(&topic).await?;
    let mut session = topic.session().await;
    topic.publish_all(&["m1", "m2"]).await;
    let [first, second] = session.take(["m1", "m2"]).await;
    let never_given = Receipt::new(first.receipt.epoch, first.receipt.tag.wrapping_add(1_000_000));
    let answers = extend(&session, &[first.receipt, never_given, second.receipt]).await;
    assert!(
        matches!(answers.as_slice(), [Ok(()), Err(SettleError::Stale), Ok(())]),
        "ours, nobody's, ours: {answers:?}"
    );
    session.ack(first).await;
    session.ack(second).await;
    session.close().await;
    Ok(())
}

pub async fn an_extension_after_the_end_revives_nothing(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "late-extension").await;
    extensible(&topic).await?;
    let mut session = topic.session().await;
    topic.publish_all(&["acked", "released"]).await;
    let [acked, released] = session.take(["acked", "released"]).await;
    let receipts = [acked.receipt, released.receipt];
    session.ack(acked).await;
    session.release(released).await;
    for answer in extend(&session, &receipts).await {
        assert!(
            matches!(answer, Ok(()) | Err(SettleError::Stale)),
            "an extension that comes too late is answered with {answer:?}"
        );
    }
    let released = session.next_is("released").await;
    session.ack(released).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

pub async fn a_hold_has_the_limit_that_it_says(harness: &dyn BrokerHarness) -> Proof {
    let topic = Topic::fresh(harness, "limit").await;
    let each = extensible(&topic).await?;
    let Hold::Extendable { total: Some(total), .. } = topic.capabilities().await.hold else {
        return NotProved::because("its hold can be extended without end");
    };
    needs(total <= topic.patience(), "its longest hold is longer than the harness's patience")?;
    let mut session = topic.session().await;
    topic.publish("m1").await;
    let delivery = session.next_is("m1").await;
    let received = Instant::now();
    let again = loop {
        // It may say that there is nothing left to extend, or extend by what is left.
        let _ = extend(&session, &[delivery.receipt]).await;
        if let Some(delivery) = session.next_within(each / 3).await {
            break delivery;
        }
        let held = received.elapsed();
        assert!(held < total + each, "held for {held:?}, although its longest hold is {total:?}");
    };
    let held = received.elapsed() + CLOCK_DIFFERENCE;
    assert!(held + each >= total, "held for {held:?} only, although {total:?} can be had");
    session.ack(again).await;
    session.close().await;
    topic.assert_nothing_is_left().await;
    Ok(())
}

async fn extend(session: &Session<'_>, receipts: &[Receipt]) -> Vec<Result<(), SettleError>> {
    let extending = session.source.extend(receipts);
    let answers = within(session.topic.patience(), "the answer to an extension", extending).await;
    assert_eq!(answers.len(), receipts.len(), "each extension of a batch has its answer");
    answers
}

async fn next_after(session: &mut Session<'_>, hold: Duration) -> steadfast::Delivery {
    let limit = hold + session.topic.patience();
    let next = session.next_within(limit).await;
    next.unwrap_or_else(|| panic!("a hold of {hold:?} has not ended after {limit:?}"))
}

/// The hold whose end the case can wait for.
async fn ends(topic: &Topic<'_>) -> Result<Duration, NotProved> {
    match limited_hold(&topic.capabilities().await) {
        None => NotProved::because("a hold lasts as long as its session"),
        Some(hold) if hold > topic.patience() => {
            NotProved::because(format!("its hold, {hold:?}, is longer than the harness's patience"))
        }
        Some(hold) => Ok(hold),
    }
}

async fn extensible(topic: &Topic<'_>) -> Result<Duration, NotProved> {
    match topic.capabilities().await.hold {
        Hold::Extendable { .. } => ends(topic).await,
        _ => NotProved::because("its holds cannot be extended"),
    }
}
